import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { checkSink } from '../../check/sink.ts';
import type { Report } from '../../core/report.ts';
import { operations } from '../../core/request.ts';
import type { Host } from '../../host/host.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { listQueued, listSetAside, queueReport } from '../../report/outbox.ts';
import { drainOutbox } from '../../sink/drain.ts';
import { withSink } from '../../sink/sink.ts';
import { startLoops } from '../../workers/loops.ts';
import { keepSink } from '../../workers/sink.ts';
import { alternate, type Cluster, majors } from '../support/postgres.ts';
import { until } from '../support/stage.ts';
import { silent } from '../support/temporal.ts';
import { password, reportOf, sinkTo, startPlatform, type TestSink } from './support.ts';

const [major = majors.at(-1) as string] = alternate(1);
const signal = new AbortController().signal;

let server: Cluster;
let sink: TestSink;

beforeAll(async () => {
  server = await startPlatform(major);
});
afterAll(() => server.dispose());

beforeEach(async () => {
  if (!server.running()) await server.start();
  await sql('DROP TABLE IF EXISTS db_backup_job');
  sink = sinkTo(server);
});

const sql = (text: string) => server.sql(text, undefined, 'platform');
const rows = () => sql('SELECT * FROM db_backup_job ORDER BY report_id');
const send = (...reports: Report[]) =>
  withSink(
    sink,
    async (put) => {
      for (const report of reports) await put(report);
    },
    { signal },
  );
const look = () => checkSink({ sink } as unknown as ProtectedCluster, signal);

const asTheirMigration = `CREATE TABLE db_backup_job (
  id VARCHAR(36) PRIMARY KEY, started_at TIMESTAMPTZ NOT NULL, finished_at TIMESTAMPTZ NOT NULL, duration_sec BIGINT NOT NULL,
  database TEXT NOT NULL, mode TEXT NOT NULL, status TEXT NOT NULL, size_bytes BIGINT, local_file TEXT, remote_urls TEXT,
  checksum TEXT, error_msg TEXT, create_time TIMESTAMPTZ DEFAULT NOW(), update_time TIMESTAMPTZ DEFAULT NOW(),
  deleted BOOLEAN DEFAULT FALSE); ALTER TABLE db_backup_job OWNER TO platform`;

const described = () =>
  sql(`SELECT column_name, data_type, character_maximum_length AS length, is_nullable, column_default FROM information_schema.columns
    WHERE table_name = 'db_backup_job' AND column_name NOT IN ('cluster', 'operation', 'host', 'report_id', 'report') ORDER BY 1`);

test("the table is made as the platform's own migration makes it, with our columns beside", async () => {
  await sql(asTheirMigration);
  const theirs = await described();
  await sql('DROP TABLE db_backup_job');
  await send(reportOf({ at: '20261120T140501Z' }));
  expect(await described()).toEqual(theirs);
  const keys = await sql(
    `SELECT conname, contype FROM pg_constraint WHERE conrelid = 'db_backup_job'::regclass AND contype = 'p'`,
  );
  expect(keys).toEqual([{ conname: 'db_backup_job_pkey', contype: 'p' }]);
});

test('an older table is taken over: what is missing is added, and its rows stay', async () => {
  await sql(asTheirMigration.replace('remote_urls TEXT', 'remote_urls JSONB').replace('checksum TEXT,', ''));
  await sql(`INSERT INTO db_backup_job (id, started_at, finished_at, duration_sec, database, mode, status)
    VALUES ('old', now(), now(), 1, 'app', 'both', 'SUCCESS')`);
  await send(reportOf({ at: '20261120T140501Z' }));
  expect(await rows()).toMatchObject([
    { report_id: expect.stringContaining('20261120T140501Z'), remote_urls: ['/r/shop/20261120T140501Z.json'] },
    { id: 'old', database: 'app', report_id: null, checksum: null },
  ]);
});

test('hosts that begin at the same time make the table once', async () => {
  await Promise.all([1, 2, 3, 4, 5].map((second) => send(reportOf({ at: `20261120T14050${second}Z` }))));
  expect(await rows()).toHaveLength(5);
});

test('a report of every kind is a row, with the whole report in it', async () => {
  const reports = operations.map((operation, index) => reportOf({ at: `20261120T14050${index}Z`, operation }));
  await send(...reports);
  expect(await rows()).toMatchObject(
    reports.map((report) => ({
      id: report.uuid,
      operation: report.operation,
      cluster: 'shop',
      host: 'db-7',
      database: '*',
      duration_sec: '312',
      size_bytes: '123456789',
      started_at: new Date(report.startedAt),
      remote_urls: JSON.stringify(report.remote.urls),
      deleted: false,
      report,
    })),
  );
});

test('what a dump tells of its file and its failure stands in the columns for it', async () => {
  const local = { file: '/d/app.dump', globalsFile: null, checksumSha256: 'ab'.repeat(32), sizeBytes: null };
  const errorMessage = 'pg_dump: half\0way \ud800 ended';
  await send(
    reportOf({
      at: '20261120T140501Z',
      operation: 'dump',
      database: 'the "app"',
      status: 'FAILED',
      errorMessage,
      local,
    }),
  );
  expect(await rows()).toMatchObject([
    {
      database: 'the "app"',
      status: 'FAILED',
      error_msg: 'pg_dump: half\uFFFDway \uFFFD ended',
      local_file: '/d/app.dump',
      checksum: local.checksumSha256,
      size_bytes: null,
    },
  ]);
});

test('a later attempt of a run replaces the earlier one, and never the other way round', async () => {
  const first = reportOf({ at: '20261120T140501Z', run: 'r', status: 'FAILED', errorMessage: 'no room' });
  const second = reportOf({ at: '20261120T141501Z', run: 'r' });
  await send(first);
  expect(await rows()).toMatchObject([{ status: 'FAILED', error_msg: 'no room' }]);
  await send(second);
  await send(first);
  expect(await rows()).toMatchObject([{ id: first.uuid, status: 'SUCCESS', error_msg: null, report_id: second.id }]);
});

test('sending a report again changes nothing, nor what a person wrote beside it', async () => {
  const report = reportOf({ at: '20261120T140501Z' });
  await send(report);
  await sql('UPDATE db_backup_job SET deleted = true');
  const before = await rows();
  await send(report);
  expect(await rows()).toEqual(before);
});

test('two workers that drain at once send each report, and neither fails', async () => {
  const reports = Array.from({ length: 40 }, (_, index) =>
    reportOf({ at: `20261120T1405${String(index).padStart(2, '0')}Z` }),
  );
  for (const report of reports) await queueReport(sink, report);
  const both = await Promise.all([drainOutbox(sink, { signal }), drainOutbox(sink, { signal })]);
  expect(both.flatMap(({ refused, setAside }) => [...refused, ...setAside])).toEqual([]);
  expect(await listQueued(sink.outbox)).toEqual([]);
  expect((await rows()).map(({ report_id }) => report_id)).toEqual(reports.map(({ id }) => id));
});

test('the loops of a worker send what waits, whether or not the host has a cluster', async () => {
  const { outbox, connection, table } = sink;
  const config = { reportSink: { connection, table }, clusters: {} };
  await queueReport(sink, reportOf({ at: '20261120T140501Z' }));
  const loops = await startLoops({ config, stateDir: join(outbox, '..'), log: silent } as unknown as Host);
  await until(async () => (await listQueued(outbox)).length === 0, 20);
  await loops.stop();
  expect(await rows()).toHaveLength(1);
});

test('a report that the table refuses waits, and one that cannot be read is put aside; the others go', async () => {
  await sql(`${asTheirMigration}; ALTER TABLE db_backup_job ADD CHECK (status <> 'CANCELLED')`);
  await sql(`CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE $$no$$; END';
    CREATE TRIGGER t BEFORE INSERT ON db_backup_job FOR EACH ROW WHEN (NEW.status = 'FAILED') EXECUTE FUNCTION refuse()`);
  await queueReport(sink, reportOf({ at: '20261120T140500Z', status: 'FAILED' }));
  await queueReport(sink, reportOf({ at: '20261120T140501Z', status: 'CANCELLED' }));
  await queueReport(sink, reportOf({ at: '20261120T140502Z' }));
  writeFileSync(join(sink.outbox, '20261120T140500Z-backup-00000000.shop.json'), '{"formatVersion":1}');
  const { sent, refused, setAside } = await drainOutbox(sink, { signal });
  expect({ sent, refused, setAside }).toMatchObject({
    sent: 1,
    refused: [
      { code: 'sql-failed', facts: { sqlstate: 'P0001' } },
      { code: 'sql-failed', facts: { sqlstate: '23514' } },
    ],
    setAside: [{ code: 'record-invalid' }],
  });
  const waits = ['20261120T140500Z', '20261120T140501Z'].map((time) => expect.stringContaining(time));
  expect(await listQueued(sink.outbox)).toEqual(waits);
  expect(await listSetAside(sink.outbox)).toHaveLength(1);
  expect(await look()).toMatchObject([{ status: 'ok' }, { name: 'report-outbox', status: 'warning' }]);
});

test('a role that may only write rows is enough for a whole table; otherwise the error has the statements', async () => {
  const limited = { ...sink.connection, user: 'writer', password: undefined };
  await server.sql('DROP ROLE IF EXISTS writer');
  await server.sql('CREATE ROLE writer LOGIN');
  sink = { ...sink, connection: limited };
  await sql('REVOKE CREATE ON SCHEMA public FROM PUBLIC');
  await expect(send(reportOf({ at: '20261120T140501Z' }))).rejects.toMatchObject({
    code: 'rights-missing',
    hint: expect.stringMatching(/CREATE TABLE IF NOT EXISTS "db_backup_job".*GRANT SELECT, INSERT, UPDATE/s),
  });
  const { hint } = await send(reportOf({ at: '20261120T140501Z' })).catch((error) => error);
  await sql(hint.slice(hint.indexOf('CREATE')));
  await send(reportOf({ at: '20261120T140501Z' }));
  expect(await rows()).toHaveLength(1);
  expect(await look()).toMatchObject([{ status: 'ok' }, { status: 'ok' }]);
  await sql('REVOKE UPDATE ON db_backup_job FROM writer');
  expect(await look()).toMatchObject([{ status: 'warning', fix: expect.stringContaining('GRANT') }, { status: 'ok' }]);
  await server.sql('DROP OWNED BY writer', [], 'platform');
});

test('the table may lie in a schema of its own, whose doors the error opens', async () => {
  await sql('CREATE SCHEMA ops');
  const inOps = { ...sink, table: 'ops.db_backup_job' };
  const put = () => withSink(inOps, (one) => one(reportOf({ at: '20261120T140501Z' })), { signal });
  const { code, hint } = await put().catch((error) => error);
  expect({ code, hint }).toMatchObject({ code: 'rights-missing', hint: expect.stringContaining('ON SCHEMA "ops"') });
  await sql('GRANT USAGE, CREATE ON SCHEMA ops TO platform');
  await put();
  expect(await sql('SELECT status FROM ops.db_backup_job')).toEqual([{ status: 'SUCCESS' }]);
  await sql('DROP SCHEMA ops CASCADE');
});

test.each([
  ['CREATE VIEW db_backup_job AS SELECT 1 AS id', 'is no table'],
  ['CREATE TABLE db_backup_job (id varchar(36))', 'has no unique id'],
  ['CREATE TABLE db_backup_job (id varchar(36) UNIQUE DEFERRABLE)', 'has no unique id'],
  ['CREATE TABLE db_backup_job (number int)', 'has no column id'],
])('%s: refused, and nothing of it is changed', async (statement, why) => {
  await sql(statement);
  if (statement.includes('VIEW')) onTestFinished(async () => void (await sql('DROP VIEW db_backup_job')));
  await expect(send(reportOf({ at: '20261120T140501Z' }))).rejects.toMatchObject({
    code: 'sink-unusable',
    message: expect.stringContaining(why),
  });
  expect(await look()).toMatchObject([{ status: 'warning', detail: expect.stringContaining(why) }, { status: 'ok' }]);
});

test('scenario 42: a table whose server dies delays its rows; the log warns once, and nothing that is said holds a secret', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  const { outbox, table } = sink;
  let tries = 0;
  const connection = {
    ...sink.connection,
    get user() {
      tries += 1;
      return 'platform';
    },
  };
  const host = { config: { reportSink: { connection, table } }, stateDir: join(outbox, '..'), log } as unknown as Host;
  const stop = new AbortController();
  const running = keepSink(host, stop.signal, { idleMs: 20, firstMs: 20, longestMs: 50 });
  await queueReport(sink, reportOf({ at: '20261120T140501Z' }));
  await until(async () => (await listQueued(outbox)).length === 0, 20);

  await server.kill9();
  await queueReport(sink, reportOf({ at: '20261120T140502Z' }));
  await until(() => lines.some((line) => line.includes('reports wait for the report sink')), 20);
  const before = tries;
  await until(() => tries > before + 12, 20);
  expect(await look()).toMatchObject([
    { status: 'warning' },
    { status: 'warning', detail: expect.stringContaining('1 report waits') },
  ]);
  await server.start();
  await until(async () => (await listQueued(outbox)).length === 0, 20);
  await until(() => lines.some((line) => line.includes('takes reports again')), 20);

  writeFileSync((connection.password as { file: string }).file, 'wrong-sink-secret', { mode: 0o600 });
  await queueReport(sink, reportOf({ at: '20261120T140503Z' }));
  await until(() => lines.some((line) => line.includes('server-refused')), 20);
  stop.abort();
  await running;

  expect((await rows()).map(({ report_id }) => report_id.slice(0, 16))).toEqual([
    '20261120T140501Z',
    '20261120T140502Z',
  ]);
  expect(lines.map((line) => JSON.parse(line).level)).toEqual([40, 30, 40]);
  expect(lines.join('')).not.toMatch(new RegExp(`${password}|wrong-sink-secret`));
});
