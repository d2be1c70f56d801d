import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { DumpRun } from '../../core/dump-run.ts';
import type { PgproofError } from '../../core/errors.ts';
import type { Report } from '../../core/report.ts';
import { reportedDumps } from '../../dump/run.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { listDumps } from '../../repository/dumps.ts';
import { type Failed, pgproof } from '../client/cli.ts';
import { standInDocker } from '../support/docker.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';
import { alternate } from '../support/postgres.ts';
import { listReports } from '../support/reports.ts';
import { startWorker, until, type WorkerProcess } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { shortTimeouts } from '../support/temporal.ts';

vi.setConfig({ testTimeout: 240_000 });

/** Dumps as a person starts them, through Temporal and without, on a real server with databases whose names are no good manners. */

const hostile = `host=evil "it's" /x`;
let fleet: Fleet;
let worker: WorkerProcess;

beforeAll(async () => {
  const bulk = { ...shortTimeouts.bulk, attempts: 2 };
  fleet = await openFleet({ major: alternate(1)[0] as string, timeouts: { ...shortTimeouts, bulk } });
  worker = await startWorker(fleet.stage);
  const { server } = fleet.stage;
  await server.sql(`CREATE DATABASE "${hostile.replaceAll('"', '""')}"`);
  for (const database of ['postgres', hostile])
    await server.sql(`CREATE TABLE kept AS SELECT n, md5(n::text) FROM generate_series(1, 5000) n`, [], database);
});
afterAll(async () => {
  await worker?.stop();
  await fleet?.dispose();
});

const here = (...args: string[]) => pgproof([...args, '--config', fleet.stage.configFile, '--host', 'db-7']);
const dumps = () => listDumps(fleet.stage.cluster.repository, fleet.stage.cluster.keys, 'shop');
const reports = (): Promise<Report[]> => listReports(fleet.stage.cluster.repository, 'shop');
const finish = async (request: object) => {
  const run = await fleet.start('dump', request);
  return { run, result: (await fleet.finish(run)) as unknown as DumpRun };
};
const order = {
  request: { kind: 'database' as const, tier: 'daily', databases: ['postgres'] },
  ...{ workflow: null, requestedBy: 'ada', reason: null },
};
const run = { signal: new AbortController().signal, progress: () => undefined };
const databases = () => ['postgres', hostile].toSorted();

test('every database is dumped with a report of its own, and the run answers with a line each', async () => {
  const { run, result } = await finish({ tier: 'weekly', requestedBy: 'ada' });
  expect(result.dumps.map(({ database }) => database).toSorted()).toEqual(databases());
  const listed = await dumps();
  for (const row of result.dumps) {
    expect(row).toMatchObject({ tier: 'weekly', format: 'custom', cipher: 'aes-256-gcm', repositories: ['local'] });
    expect(listed).toContainEqual(expect.objectContaining({ id: row.id, state: 'whole' }));
  }
  const mine = (await reports()).filter(({ workflowId }) => workflowId === run.workflowId);
  expect(mine.map(({ database }) => database).toSorted()).toEqual(databases());
  expect(new Set(mine.map(({ uuid }) => uuid)).size).toBe(2);
  for (const report of mine)
    expect(report).toMatchObject({
      operation: 'dump',
      status: 'SUCCESS',
      tool: 'pg_dump',
      mode: 'local',
      requestedBy: 'ada',
    });
});

test('one that cannot be dumped fails alone: the others are whole, and the run fails and names it', async () => {
  const { server } = fleet.stage;
  await server.sql('CREATE DATABASE broken');
  await server.sql('CREATE TABLE lost AS SELECT n FROM generate_series(1, 1000) n', [], 'broken');
  await server.sql('CHECKPOINT');
  const [{ path }] = (await server.sql(`SELECT pg_relation_filepath('lost') AS path`, [], 'broken')) as [
    { path: string },
  ];
  rmSync(join(server.dataDir, path));
  await server.stop();
  await server.start(); // forgets the file that it had open
  const before = (await dumps()).length;
  try {
    const run = await fleet.start('dump');
    const error = (await fleet.finish(run).catch((thrown: unknown) => thrown)) as PgproofError;
    expect(error).toMatchObject({ code: 'dump-incomplete', facts: { failed: ['broken'] } });
    expect(error.message).toMatch(/^1 of 3 dumps of shop were not made: 'broken': pg_dump failed/);
    expect((error.facts.dumped as string[]).length).toBe(2);
    expect((await dumps()).length).toBe(before + 2);
    const mine = (await reports()).filter(({ workflowId }) => workflowId === run.workflowId);
    const failed = mine.filter(({ status }) => status === 'FAILED');
    expect(failed.every(({ database }) => database === 'broken')).toBe(true);
    expect(error.facts.report).toContain((failed.at(-1) as Report).id.slice(0, 8));
    expect(new Set(mine.map(({ uuid }) => uuid)).size).toBe(3);

    // The same without Temporal; what was made is written out all the same.
    const folder = tempDir('export');
    const offline = await here('dump', 'shop', '--offline', '--export', folder);
    expect(offline).toMatchObject({
      code: 1,
      json: { error: { code: 'dump-incomplete', facts: { failed: ['broken'] } } },
    });
    expect(readdirSync(folder).filter((name) => name.endsWith('.dump')).length).toBe(2);
  } finally {
    await server.sql('DROP DATABASE broken WITH (FORCE)');
  }
});

test('a database that is not there fails alone; where it is the only one, nothing is begun', async () => {
  const before = (await dumps()).length;
  const run = await fleet.start('dump', { databases: ['postgres', 'nowhere'] });
  await expect(fleet.finish(run)).rejects.toMatchObject({ code: 'dump-incomplete', facts: { failed: ['nowhere'] } });
  expect((await dumps()).length).toBe(before + 1);
  const mine = (await reports()).filter(({ workflowId }) => workflowId === run.workflowId);
  expect(mine.filter(({ status }) => status === 'FAILED')).toMatchObject([{ database: 'nowhere' }]);
  const { json, code } = await here('dump', 'shop', '--offline', '--database', 'nowhere');
  expect([code, (json as Failed).error.code]).toEqual([2, 'database-missing']);
});

test('a dump of half the size ends the verb with 3, and its files are there for stock programs', async () => {
  const folder = tempDir('export');
  const named = ['--database', 'postgres', '--no-globals', '-Z', '0'];
  await here('dump', 'shop', ...named, '--offline');
  await fleet.stage.server.sql('DELETE FROM kept WHERE n > 100');
  const { code, json } = await here('dump', 'shop', ...named, '--export', folder, '--reason', 'after the cleaning');
  expect(code).toBe(3);
  const { dumps: rows } = json as DumpRun & { dumps: { reportFile: string }[] };
  expect(rows).toHaveLength(1);
  expect(rows[0]?.findings.join()).toContain('half');
  const [file = ''] = rows[0]?.exported ?? [];
  execFileSync('sha256sum', ['-c', `${file}.sha256`], { cwd: folder });
  const list = execFileSync(join(fleet.stage.server.bin, 'pg_restore'), ['--list', file], { encoding: 'utf8' });
  expect(list).toContain('TABLE DATA public kept');
  const report = (await reports()).find(({ result }) => result.id === rows[0]?.id);
  expect(report).toMatchObject({ status: 'SUCCESS', reason: 'after the cleaning' });
});

test('a cancelled dump says so in the report of its database, and nothing of it is listed', async () => {
  const before = (await dumps()).length;
  const cancelled = await lockingKept(async () => {
    const started = await fleet.start('dump', { databases: ['postgres'] });
    await until(async () => (await waitingForKept()) > 0);
    await fleet.cancel(started);
    await expect(fleet.finish(started)).rejects.toMatchObject({ code: 'cancelled' });
    return started;
  });
  const mine = (await reports()).filter(({ workflowId }) => workflowId === cancelled.workflowId);
  expect(mine.length).toBeGreaterThan(0);
  for (const report of mine) expect(report).toMatchObject({ status: 'CANCELLED', database: 'postgres' });
  expect(new Set(mine.map(({ uuid }) => uuid)).size).toBe(1);
  expect((await dumps()).length).toBe(before);
});

test('a host writes out what its configuration says; that it cannot is a finding, and the dump is whole', async () => {
  const folder = tempDir('export');
  const { cluster } = fleet.stage;
  const exporting = (to: string): ProtectedCluster => {
    const { dumps: section } = cluster.config;
    return {
      ...cluster,
      config: { ...cluster.config, dumps: { ...section, export: { folder: to, layout: 'files' } } },
    };
  };
  const [written] = (await reportedDumps(exporting(join(folder, 'new')), order, run)).dumps;
  expect(readdirSync(join(folder, 'new')).filter((name) => name.startsWith('postgres_'))).toHaveLength(3);
  expect(written?.findings).toEqual([]);
  const report = (await reports()).find(({ result }) => result.id === written?.id);
  expect(report?.local).toMatchObject({ file: written?.exported[0], sizeBytes: written?.sizeBytes });

  writeFileSync(join(folder, 'file'), '');
  const [unwritten] = (await reportedDumps(exporting(join(folder, 'file')), order, run)).dumps;
  expect(unwritten?.findings.join()).toContain(`it was not written to '${join(folder, 'file')}'`);
  expect(await dumps()).toContainEqual(expect.objectContaining({ id: unwritten?.id, state: 'whole' }));
});

test('the programs of a container dump a server, their password only in the environment', async () => {
  const { cluster, server } = fleet.stage;
  const docker = standInDocker(tempDir('docker'), server.bin);
  try {
    process.env.SHOP_PASSWORD = 'correct horse';
    const connection = { ...cluster.config.connection, password: { env: 'SHOP_PASSWORD' } };
    const config = { ...cluster.config, connection, tools: { bin: 'auto' as const, docker: docker.container } };
    const { dumps: rows } = await reportedDumps({ ...cluster, config }, order, run);
    expect(await dumps()).toContainEqual(expect.objectContaining({ id: rows[0]?.id, state: 'whole' }));
    const programs = docker.calls().map((args) => args.find((arg) => arg.startsWith('pg_')));
    expect(programs).toEqual(expect.arrayContaining(['pg_dump', 'pg_dumpall', 'pg_restore']));
    expect(JSON.stringify(docker.calls())).not.toContain('horse');
  } finally {
    docker.remove();
  }
});

/** Sessions that somebody's lock keeps from it. */
async function waitingForKept(): Promise<number> {
  const text = `SELECT pid FROM pg_locks WHERE relation = 'kept'::regclass AND NOT granted`;
  return (await fleet.stage.server.sql(text)).length;
}

async function lockingKept<Result>(use: () => Promise<Result>): Promise<Result> {
  const { socketDir: host, port, user } = fleet.stage.server;
  const session = new pg.Client({ host, port, user, database: 'postgres' });
  await session.connect();
  try {
    await session.query('BEGIN');
    await session.query('LOCK TABLE kept IN ACCESS EXCLUSIVE MODE');
    return await use();
  } finally {
    await session.end();
  }
}
