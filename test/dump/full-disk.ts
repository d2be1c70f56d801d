import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import type { DumpFormat } from '../../core/dump.ts';
import { asPgproofError } from '../../core/errors.ts';
import { takeDump } from '../../dump/dump.ts';
import { openCluster } from '../../host/cluster.ts';
import { openHost } from '../../host/host.ts';
import { initRepository } from '../../repository/repository.ts';
import { quietRun } from '../support/run.ts';
import { partKeys, targetOf } from './support.ts';

/*
 * Takes a dump while a file system is too small, then while it is not. Runs in a mount namespace of its own, so that nobody else sees
 * the mount:
 *   unshare -Urm node full-disk.ts <config file> <folder to mount on> <MiB that are free> <format>
 * Prints what happened as JSON.
 */

const [configFile, place, freeMib, format] = process.argv.slice(2) as [string, string, string, DumpFormat];
const folder = join(configFile, '..');
const totalMib = 128;

mkdirSync(join(folder, place), { recursive: true });
execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${totalMib}m,mode=0700`, 'tmpfs', join(folder, place)]);

const host = await openHost({ configFile, host: 'db-7', log: pino({ level: 'silent' }) });
if (place === 'repository') await initRepository('local', host.config.repositories.local!);
const cluster = await openCluster(host, 'shop');
const before = await partKeys(cluster);

const filler = join(folder, place, '.filler');
writeFileSync(filler, Buffer.alloc((totalMib - Number(freeMib)) * 1024 * 1024));
const target = targetOf('shop', { format, compression: 'none' });
const failed = await takeDump(cluster, target, quietRun()).then(
  () => null,
  (error: unknown) => asPgproofError(error).toDocument(),
);
const left = (await partKeys(cluster)).filter((key) => !before.includes(key));
rmSync(filler);
const { record } = await takeDump(cluster, target, quietRun());
console.log(JSON.stringify({ failed, left, committed: record.id }));
