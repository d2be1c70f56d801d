import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { backupPrefix, basePrefix } from '../../repository/layout.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';
import { alternate } from '../support/postgres.ts';
import { startWorker, until, type WorkerProcess } from '../support/stage.ts';
import { shortTimeouts } from '../support/temporal.ts';
import { openValve, type Valve } from '../support/valve.ts';

vi.setConfig({ testTimeout: 180_000 }); // several processes start and end in each test

/** Workers and Temporal are killed for real while a backup runs. */

let fleet: Fleet;
/** Between the workers and PostgreSQL. */
let network: Valve;
let workers: WorkerProcess[] = [];
const timeouts = structuredClone(shortTimeouts);

/** Of a base backup, before it stands still. */
const copiedBytes = 4_000_000;

beforeAll(async () => {
  fleet = await openFleet({ major: alternate(0)[0] as string, timeouts });
  const { server, configFile } = fleet.stage;
  network = await openValve(server);
  writeFileSync(configFile, readFileSync(configFile, 'utf8').replaceAll(server.socketDir, network.socketDir));
});
afterAll(async () => {
  for (const worker of workers) await worker.stop();
  await network?.close();
  await fleet?.dispose();
});
afterEach(async () => {
  network.open();
  timeouts.bulk.heartbeat = shortTimeouts.bulk.heartbeat;
  for (const worker of workers.slice(0, -1)) await worker.stop();
  workers = workers.slice(-1);
  await fleet.stage.letShip(true);
});

const start = async (serving = true): Promise<WorkerProcess> => {
  const worker = await startWorker(fleet.stage, serving);
  workers.push(worker);
  return worker;
};

/** The worker that the test before left, or a new one. */
const work = async (): Promise<WorkerProcess> => workers.at(-1) ?? start();

async function kill(victim: WorkerProcess): Promise<void> {
  victim.kill('SIGKILL');
  await victim.ended;
  workers = workers.filter((worker) => worker !== victim);
}

describe('scenario 1: a worker killed during a base backup', () => {
  test('the retry finishes, no half backup is listed, PostgreSQL is out of backup mode', async () => {
    const before = await listed();
    const victim = await work();
    const stands = network.shut(copiedBytes);
    const run = await fleet.start('backup');
    await stands;
    await kill(victim);
    network.open();

    expect(await listed()).toEqual(before);
    await until(async () => (await serverSessions()).length === 0); // no walsender, slot or lock outlives its worker
    expect(await slots()).toEqual([]);

    await work();
    const { report } = await fleet.finish(run);
    expect(report.status).toBe('SUCCESS');
    expect(await listed()).toEqual([...before, report.result.id]);
    await expectWhole(report.result.id as string);
    expect(await leftBehind(await listed())).toEqual([]);
  });
});

describe('scenario 2: killed between the last object and the commit file', () => {
  test('nothing is trusted, and the run goes on from there', async () => {
    const before = await listed();
    const victim = await work();
    await fleet.stage.letShip(false);
    const run = await fleet.start('backup');
    await until(async () => (await pending(run.workflowId)) === 'awaitWal');
    await kill(victim);
    expect(await listed()).toEqual(before);

    await fleet.stage.letShip(true);
    await work();
    const { report } = await fleet.finish(run);
    expect(await listed()).toEqual([...before, report.result.id]);
    await expectWhole(report.result.id as string);
  });

  test('when nobody goes on with it, the next run reaps what was left', async () => {
    const before = await listed();
    const victim = await work();
    await fleet.stage.letShip(false);
    const abandoned = await fleet.start('backup');
    await until(async () => (await pending(abandoned.workflowId)) === 'awaitWal');
    await kill(victim);
    await fleet.temporal.client.workflow.getHandle(abandoned.workflowId).terminate('nobody wants it');
    ageCopies(); // as if nobody had touched it for long

    await fleet.stage.letShip(true);
    await work();
    const { report } = await fleet.finish(await fleet.start('backup'));
    expect(await listed()).toEqual([...before, report.result.id]);
    expect(await leftBehind(await listed())).toEqual([]);
  });
});

describe('scenario 5: a zombie attempt that goes on beside its replacement', () => {
  test('whatever is listed is whole, never mixed', async () => {
    const zombie = await work();
    const stands = network.shut(copiedBytes);
    const run = await fleet.start('backup');
    await stands;
    const [first] = await copying();
    zombie.kill('SIGSTOP');
    // The zombie's session still holds the lock and excludes its replacement: take it away, as a lost connection would.
    await fleet.stage.server.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted`,
    );
    await start();
    await until(async () => (await copying()).some((name) => name !== first));
    zombie.kill('SIGCONT');
    network.open();

    const { report } = await fleet.finish(run);
    const ids = await listed();
    expect(ids).toContain(report.result.id);
    for (const id of ids) await expectWhole(id);
  });
});

describe('scenario 4: Temporal killed', () => {
  test('a copy that runs meanwhile goes on, and is the one that is committed', async () => {
    await work();
    timeouts.bulk.heartbeat = 120; // however long Temporal takes to start again
    const stands = network.shut(copiedBytes);
    const run = await fleet.start('backup');
    await stands;
    const [copy] = await copying();
    await fleet.server.stop();
    await fleet.server.start();
    network.open();
    const { report } = await fleet.finish(run);
    expect(copy).toContain(report.result.id);
    await expectWhole(report.result.id as string);
  });

  test('WAL keeps reaching the repository, also from a worker that starts meanwhile; the run goes on when it is back', async () => {
    const first = await work();
    await fleet.stage.letShip(false);
    const run = await fleet.start('backup');
    await until(async () => (await pending(run.workflowId)) === 'awaitWal');

    await fleet.server.stop();
    await kill(first);
    await start(false);
    await fleet.stage.letShip(true);
    const segment = await switchSegment();
    await until(() => isArchived(segment));

    await fleet.server.start();
    const { report } = await fleet.finish(run);
    expect(report.status).toBe('SUCCESS');
  });
});

/** The base backups that PostgreSQL is sending, well begun, by the names of their sessions. */
async function copying(): Promise<string[]> {
  const rows = await fleet.stage.server.sql<{ name: string }>(
    `SELECT application_name AS name FROM pg_stat_progress_basebackup JOIN pg_stat_activity USING (pid)
      WHERE backup_streamed >= ${copiedBytes}`,
  );
  return rows.map(({ name }) => name);
}

function ageCopies(): void {
  const { backups } = fleet.stage.cluster.paths;
  const then = new Date('2001-01-01');
  for (const name of readdirSync(backups)) utimesSync(join(backups, name), then, then);
}

/** Sessions that work for pgproof in the server, other than heartbeats. */
const serverSessions = () =>
  fleet.stage.server.sql(
    `SELECT pid, application_name, backend_type FROM pg_stat_activity
      WHERE backend_type = 'walsender' OR application_name LIKE 'pgproof backup%'`,
  );

const slots = () => fleet.stage.server.sql('SELECT slot_name FROM pg_replication_slots');

async function pending(workflowId: string): Promise<string | undefined> {
  const { raw } = await fleet.temporal.client.workflow.getHandle(workflowId).describe();
  return raw.pendingActivities?.[0]?.activityType?.name ?? undefined;
}

async function keysBelow(prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of fleet.stage.cluster.repository.store.list(prefix)) keys.push(key);
  return keys;
}

async function listed(): Promise<string[]> {
  const { repository, keys, name } = fleet.stage.cluster;
  const entries = await listBackups(repository, keys, name);
  expect(entries.every(({ state }) => state === 'whole')).toBe(true);
  return entries.map(({ id }) => id);
}

/** Parts of what is no backup that are still there. */
async function leftBehind(ids: string[]): Promise<string[]> {
  return (await keysBelow('shop/')).filter((key) => key.includes('/base/') && !ids.some((id) => key.includes(id)));
}

async function expectWhole(id: string): Promise<void> {
  const { repository, keys, name } = fleet.stage.cluster;
  const entry = (await listBackups(repository, keys, name)).find((one) => one.id === id);
  if (entry?.state !== 'whole') throw new PgproofError('internal', `${id} is not whole`);
  const parts = [entry.record.manifest, ...entry.record.tablespaces.flatMap((tablespace) => tablespace.parts)];
  for (const part of parts) {
    expect(part.key.startsWith(basePrefix(name, entry.era, id))).toBe(true);
    const hash = createHash('sha256');
    for await (const chunk of await repository.store.read(part.key)) hash.update(chunk as Buffer);
    expect(hash.digest('hex')).toBe(part.sha256);
  }
  expect(await keysBelow(backupPrefix(name, entry.era))).toContain(`${backupPrefix(name, entry.era)}${id}.json`);
}

async function switchSegment(): Promise<string> {
  await fleet.stage.server.sql('CREATE TABLE IF NOT EXISTS ticks (n int)');
  await fleet.stage.server.sql('INSERT INTO ticks VALUES (1)');
  const [row] = await fleet.stage.server.sql<{ name: string }>(
    'SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS name',
  );
  await fleet.stage.server.sql('SELECT pg_switch_wal()');
  return (row as { name: string }).name;
}

const isArchived = async (segment: string): Promise<boolean> =>
  (await keysBelow('shop/')).some((key) => key.includes('/wal/') && key.includes(segment));
