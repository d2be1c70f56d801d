import { pino } from 'pino';
import { takeDump } from '../../dump/dump.ts';
import { openCluster } from '../../host/cluster.ts';
import { openHost } from '../../host/host.ts';
import { faulty } from '../../storage/fault.ts';
import { quietRun } from '../support/run.ts';
import { targetOf } from './support.ts';

/*
 * A process that dumps a database in directory format into a repository that takes two parts and then hangs, so that pg_dump gets
 * ahead and is stopped.
 *   node child.ts <config file> <database> <folder of the server's socket>
 */

const [configFile, database, socket] = process.argv.slice(2) as [string, string, string];
const host = await openHost({ configFile, host: 'db-7', log: pino({ level: 'silent' }) });
const cluster = await openCluster(host, 'shop');
cluster.config.connection.socket = socket;
const { store } = cluster.repository;
cluster.repository.store = faulty(store, [{ on: 'create', key: /dump\.directory\.tar\.3/, fault: { kind: 'hang' } }]);
const target = targetOf(database, { format: 'directory', compression: 'none' });
await takeDump(cluster, target, quietRun(), { windowBytes: 1_000_000, maxPartBytes: 1_000_000 });
