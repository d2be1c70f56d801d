import { rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { followRun } from '../../client/follow.ts';
import { type StartedRun, startOperation } from '../../client/temporal.ts';
import { parseTarget } from '../../core/target.ts';
import { withClusterLock } from '../../postgres/lock.ts';
import { planRestore } from '../../restore/plan.ts';
import { openFleet } from '../support/fleet.ts';
import { endRun, startFile, startRun } from '../support/places.ts';
import { majors } from '../support/postgres.ts';
import { startWorker, until } from '../support/stage.ts';
import { historyOf, saveHistory } from './save.ts';

/*
 * Records one history of each kind of run, from real runs of the code as it is: before a release, as user postgres,
 * `node_modules/.bin/node test/histories/record.ts [FOLDER]`. Files that exist are kept: histories are only ever added.
 */

const folder = process.argv[2] ?? import.meta.dirname;
const testRun = startRun();
Object.assign(process.env, testRun.env);
startFile();
const fleet = await openFleet({ major: majors.at(-1) as string, offsite: true });
const worker = await startWorker(fleet.stage);
try {
  await save('backup', await ended(await fleet.start('backup', { reason: 'recorded', requestedBy: 'nobody' })));
  await save('backup-busy', await busy());
  await save('backup-cancelled', await cancelled());
  await save('backup-refused', await ended(await fleet.start('backup', { cluster: 'unknown' })));
  await save('check', await check());
  await save('copy', await ended(await fleet.start('copy', { to: 'offsite' })));
  await save('copy-failed', await ended(await fleet.start('copy', { to: 'elsewhere' })));
  await save('drill', await ended(await fleet.start('drill')));
  await save('dump', await ended(await fleet.start('dump', { tier: 'weekly', reason: 'recorded', requestedBy: 'nobody' })));
  await save('dump-cancelled', await cancelledDump());
  await save('dump-failed', await brokenDump());
  await save('dump-refused', await ended(await fleet.start('dump', { databases: ['nowhere'] })));
  await save('drill-dump', await ended(await fleet.start('drill', { kind: 'dump' })));
  await save('drill-dump-refused', await ended(await fleet.start('drill', { kind: 'dump', database: 'nowhere' })));
  await save('expire', await ended(await fleet.start('expire')));
  await save('expire-refused', await ended(await fleet.start('expire', { repository: 'elsewhere' })));
  await save('verify', await ended(await fleet.start('verify', { share: 50, restore: true })));
  await save('verify-refused', await ended(await fleet.start('verify', { repository: 'elsewhere' })));
  await save('wal-sync', await ended(await fleet.start('walSync', { reason: 'recorded', requestedBy: 'nobody' })));
  await save('wal-sync-failed', await withoutServer('walSync'));
  await save('restore', await ended(await fleet.start('restore', { plan: await plan() })));
  await worker.stop();
  await save('check-away', await check());
} finally {
  await worker.stop();
  await fleet.dispose();
  endRun(testRun);
}

async function ended(run: StartedRun): Promise<StartedRun> {
  await fleet.finish(run).catch((error: unknown) => console.log(`${run.operation}: ${error}`));
  return run;
}

async function check(): Promise<StartedRun> {
  const run = await startOperation(fleet.temporal, 'main', 'check', { cluster: 'shop' });
  await followRun(fleet.temporal, run, { fleet: 'main', signal: new AbortController().signal });
  return run;
}

async function busy(): Promise<StartedRun> {
  const run = await withClusterLock(fleet.stage.cluster, { operation: 'backup', id: 'by-hand' }, async () => {
    const started = await fleet.start('backup');
    await until(async () => (await historyOf(fleet, started)).includes('cluster-busy'));
    return started;
  });
  return ended(run);
}

async function withoutServer(operation: 'walSync'): Promise<StartedRun> {
  await fleet.stage.server.stop();
  const run = await ended(await fleet.start(operation));
  await fleet.stage.server.start();
  return run;
}

async function cancelled(): Promise<StartedRun> {
  await fleet.stage.letShip(false);
  const run = await fleet.start('backup');
  await until(async () => (await historyOf(fleet, run)).includes('awaitWal'));
  await fleet.cancel(run);
  await ended(run);
  await fleet.stage.letShip(true);
  return run;
}

/** While it waits for a table that somebody has locked. */
async function cancelledDump(): Promise<StartedRun> {
  const { socketDir: host, port, user, sql } = fleet.stage.server;
  await sql('CREATE TABLE locked (n int)');
  const session = new pg.Client({ host, port, user, database: 'postgres' });
  await session.connect();
  try {
    await session.query('BEGIN');
    await session.query('LOCK TABLE locked IN ACCESS EXCLUSIVE MODE');
    const run = await fleet.start('dump');
    await until(async () => (await historyOf(fleet, run)).includes('takeDump'));
    await fleet.cancel(run);
    return await ended(run);
  } finally {
    await session.end();
  }
}

/** One of two databases has lost a file. */
async function brokenDump(): Promise<StartedRun> {
  const { server } = fleet.stage;
  await server.sql('CREATE DATABASE broken');
  await server.sql('CREATE TABLE lost AS SELECT n FROM generate_series(1, 1000) n', [], 'broken');
  const [row] = await server.sql<{ path: string }>(`SELECT pg_relation_filepath('lost') AS path`, [], 'broken');
  await server.stop();
  rmSync(join(server.dataDir, row?.path as string));
  await server.start();
  const run = await ended(await fleet.start('dump'));
  await server.sql('DROP DATABASE broken');
  return run;
}

async function plan(): Promise<string> {
  const into = join(fleet.stage.folder, 'restored');
  const run = { signal: new AbortController().signal, progress: () => undefined };
  return (await planRestore(fleet.stage.cluster, { target: parseTarget('latest'), into }, run)).id;
}

function save(name: string, run: StartedRun): Promise<void> {
  return saveHistory(fleet, name, run, folder);
}
