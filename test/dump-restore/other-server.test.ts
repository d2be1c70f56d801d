import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { restoreSteps } from '../../activities/restore.ts';
import type { FiledReport } from '../../core/report.ts';
import { listDatabases } from '../../dump/databases.ts';
import { createDatabase } from '../../dump/restore/database.ts';
import type { DumpRestoreOptions } from '../../dump/restore/options.ts';
import { findRestorers } from '../../dump/restore/programs.ts';
import { restoreDump } from '../../dump/restore/restore.ts';
import type { DumpSource } from '../../dump/restore/source.ts';
import { openHost } from '../../host/host.ts';
import { withClient } from '../../postgres/client.ts';
import type { DumpRecord } from '../../repository/record.ts';
import { pgproof } from '../client/cli.ts';
import { activityEnvironment } from '../support/activity.ts';
import { type Cluster, majors, startCluster } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { tempDir } from '../support/temp.ts';
import { silent } from '../support/temporal.ts';
import { type DumpStage, openDumpStage } from './support.ts';

const [older, newer] = majors as [string, string];

describe.skipIf(newer === undefined)(`a dump of PostgreSQL ${older} in a server of ${newer}`, () => {
  let stage: DumpStage;
  let server: Cluster;
  let dump: DumpRecord;
  beforeAll(async () => {
    [stage, server] = await Promise.all([openDumpStage({ major: older }), startCluster({ major: newer })]);
    await stage.server.sql(`CREATE ROLE app LOGIN PASSWORD 'never told'`);
    await stage.server.sql('CREATE DATABASE sales OWNER app');
    await stage.server.sql('CREATE TABLE items AS SELECT n FROM generate_series(1, 100) n', [], 'sales');
    await stage.server.sql('ALTER TABLE items OWNER TO app', [], 'sales');
    dump = await stage.dump('sales', { globals: true });
    const config = parse(readFileSync(stage.configFile, 'utf8'));
    config.clusters.other = {
      ...config.clusters.shop,
      connection: { socket: server.socketDir, port: server.port, user: server.user },
      tools: { bin: server.bin },
    };
    writeFileSync(stage.configFile, stringify(config));
  });
  afterAll(async () => {
    await server?.dispose();
    await stage?.dispose();
  });

  const here = (...args: string[]) => pgproof([...args, '--config', stage.configFile, '--host', 'db-7']);

  test('is restored with its roles by the command line, which refuses it without them', async () => {
    const plan = [
      'restore',
      'plan',
      'shop',
      '--dump',
      dump.id.slice(0, 16),
      '--database',
      'sales',
      '--server',
      'other',
    ];
    const refused = await here(...plan);
    expect(refused).toMatchObject({
      code: 3,
      json: { error: { code: 'dump-unfit', facts: { roles: ['app'] }, hint: expect.stringContaining('--globals') } },
    });
    const planned = await here(...plan, '--globals');
    expect(planned).toMatchObject({ code: 0, json: { kind: 'dump', server: 'other', database: 'sales' } });
    const started = await here('restore', 'start', 'shop', (planned.json as { id: string }).id, '--offline');
    expect(started).toMatchObject({
      code: 0,
      json: {
        operation: 'restore',
        status: 'SUCCESS',
        database: 'sales',
        mode: 'dump',
        tool: 'pg_restore',
        result: { server: 'other', tables: { found: 1, expected: 1 }, largest: [{ rows: 100 }] },
      },
    });
    const owned = `SELECT tableowner || (SELECT rolpassword LIKE 'SCRAM%' FROM pg_authid WHERE rolname = 'app')::text AS owner
                     FROM pg_tables WHERE tablename = 'items'`;
    expect(await server.sql(owned, [], 'sales')).toEqual([{ owner: 'apptrue' }]);
  });

  test('is refused by the command line where the options make no sense', async () => {
    const plan = ['restore', 'plan', 'shop', '--dump', dump.id];
    for (const [args, said] of [
      [['--to', 'latest', '--database', 'x'], '--to'],
      [['--database', 'x', '--clean'], '--existing'],
      [['--database', 'x'.repeat(64)], '63 bytes'],
    ] as const) {
      const { code, json } = await here(...plan, ...args);
      expect(code).toBe(2);
      expect(json).toMatchObject({ error: { code: 'usage', message: expect.stringContaining(said) } });
    }
    expect(await here('restore', 'plan', 'shop', '--table', 'x')).toMatchObject({
      code: 2,
      json: { error: { code: 'usage' } },
    });
  });

  test('goes on as a step of a workflow, and the report of an attempt that failed is of the same run', async () => {
    const host = await openHost({ configFile: stage.configFile, host: 'db-7', log: silent });
    const { startRestore } = restoreSteps(host);
    const asked = { cluster: 'shop', reason: null, requestedBy: null, startedAt: new Date().toISOString() };
    const plan = await stage.plan(dump.id, { database: 'stepped' });
    await stage.server.sql('ALTER ROLE app RENAME TO gone');
    const step = () => activityEnvironment().run(startRestore, { ...asked, plan: plan.id });
    const failure = await step().catch((error: unknown) => error);
    expect(failure).toMatchObject({
      type: 'dump-unfit',
      details: [{ report: expect.any(String) }, expect.any(String)],
    });
    const [{ report: key }] = (failure as { details: [{ report: string }] }).details;
    const failed = JSON.parse(readFileSync(join(stage.folder, 'repository', key), 'utf8'));
    await stage.server.sql('ALTER ROLE gone RENAME TO app');
    const { report } = (await step()) as FiledReport;
    expect(report).toMatchObject({ status: 'SUCCESS', database: 'stepped', tool: 'pg_restore' });
    expect(failed).toMatchObject({ status: 'FAILED', database: 'stepped', uuid: report.uuid });
  });

  test('a role that is no superuser restores what becomes its own, and a database sorts as it did in its first server', async () => {
    await server.sql('CREATE ROLE lowly LOGIN CREATEDB');
    const to = {
      name: 'other',
      config: {
        connection: { ...stage.cluster.config.connection, socket: server.socketDir },
        tools: { bin: server.bin },
      },
    };
    const plan = (options: DumpRestoreOptions) =>
      stage.plan(dump.id, { database: 'lowly', user: 'lowly', server: to, options });
    await expect(plan({})).rejects.toMatchObject({ code: expect.stringMatching('rights-missing|dump-unfit') });
    await expect(plan({ globals: 'missing' })).rejects.toMatchObject({ code: 'rights-missing' });
    const result = await stage.start(await plan({ owner: 'none', privileges: false }), to);
    expect(result.tables.found).toBe(1);
    expect(await server.sql(`SELECT tableowner FROM pg_tables WHERE tablename = 'items'`, [], 'lowly')).toEqual([
      { tableowner: 'lowly' },
    ]);

    const made = { name: 'sorted', owner: null, marker: null };
    const facts = { ...dump.server, provider: 'builtin' as const, locale: 'C.UTF-8' };
    await createDatabase(to.config.connection, made, facts, quietRun());
    const all = await withClient(to.config.connection, (client) => listDatabases(client));
    expect(all.find(({ name }) => name === 'sorted')).toMatchObject({ provider: 'builtin', locale: 'C.UTF-8' });
  });

  test('the other way round it is refused, where pg_restore would fail at its first statement', async () => {
    const source = { what: 'a dump', format: 'custom', toolVersion: `${newer}.0` } as const;
    await expect(findRestorers({ bin: server.bin }, source, Number(older))).rejects.toMatchObject({
      code: 'dump-unfit',
      message: expect.stringContaining('transaction_timeout'),
    });
  });

  test('SQL that nobody signed runs no command of psql', async () => {
    const marker = join(tempDir(), 'marker');
    const hostile = [
      '--\n-- PostgreSQL database dump\n--\n\n\\restrict known\n',
      'CREATE TABLE t (line text);\nCOPY public.t FROM stdin;\none\n\\.\n',
      `\\unrestrict known\nSELECT 1 \\! touch ${marker}\n`,
      '--\n-- PostgreSQL database dump complete\n--\n',
    ].join('\n');
    const source: DumpSource = {
      what: '/tmp/old.sql',
      kind: 'database',
      format: 'plain',
      content: 'all',
      database: null,
      server: null,
      toolVersion: null,
      entries: null,
      plainBytes: hostile.length,
      globals: false,
      trusted: false,
      notes: [],
      read: (_, take) => take(Buffer.from(hostile)),
    };
    const connection = { ...stage.cluster.config.connection, socket: server.socketDir, port: server.port };
    const tools = await findRestorers({ bin: server.bin }, source, Number(newer));
    const into = { connection, tools, database: 'hostile', mode: 'new', staging: tempDir() } as const;
    await expect(restoreDump(source, into, {}, quietRun())).rejects.toMatchObject({
      code: 'dump-restore-failed',
      message: expect.stringContaining('backslash commands are restricted'),
    });
    expect(existsSync(marker)).toBe(false);
  });
});
