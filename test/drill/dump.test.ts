import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DrillResult, Report } from '../../core/report.ts';
import { reportedDrill } from '../../drill/report.ts';
import { dumpTargets, takeDump } from '../../dump/dump.ts';
import type { DumpTarget } from '../../dump/target.ts';
import { drillPage } from '../../report/page.ts';
import { renderReport } from '../../report/render.ts';
import { listHolds } from '../../repository/holds.ts';
import type { DumpRecord } from '../../repository/record.ts';
import { targetOf } from '../dump/support.ts';
import { alternate } from '../support/postgres.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { withFar } from '../support/two.ts';
import { changed, expectRto, quiet } from './protected.ts';

describe.each(alternate(1))('a drill of a dump, on PostgreSQL %s', (major) => {
  let stage: Stage;
  let dump: DumpRecord;
  /** Without the roles. */
  let other: DumpRecord;
  let passed: { report: Report; result: DrillResult };

  beforeAll(async () => {
    stage = await openStage({ major });
    const { sql } = stage.server;
    await sql('CREATE ROLE clerk');
    await sql('CREATE DATABASE "the shop"');
    await sql('CREATE DATABASE other');
    await sql('CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id', [], 'the shop');
    await sql('ALTER TABLE orders OWNER TO clerk', [], 'the shop');
    await sql('CREATE TABLE t AS SELECT 1 AS id', [], 'other');
    dump = (await takeDump(stage.cluster, targetOf('the shop', { globals: true }), quiet)).record;
    other = (await takeDump(stage.cluster, targetOf('other', { format: 'tar' }), quiet)).record;
    // No copy has reached the far repository yet.
    const { cluster: andFar } = await withFar(stage);
    passed = await drill(
      { database: 'the shop' },
      [
        ['orders', 'the shop', 'SELECT count(*) = 1000 FROM orders'],
        ['owner', 'the shop', `SELECT relowner = 'clerk'::regrole FROM pg_class WHERE relname = 'orders'`],
        ['elsewhere', 'other', 'SELECT false'],
      ],
      andFar,
    );
  });

  afterAll(() => stage?.dispose());

  const drill = async (
    asked: { dump?: string; database?: string },
    checks: [string, string, string][] = [],
    from = stage.cluster,
  ) => {
    const named = checks.map(([name, database, sql]) => ({ name, database, sql }));
    const cluster = changed(from, { drills: { checks: named } });
    const request = { kind: 'dump', reason: 'quarterly', requestedBy: 'ann', ...asked } as const;
    const { report } = await reportedDrill(cluster, request, quiet, null);
    return { report, result: report.result as DrillResult };
  };
  const leftovers = () => [stage.cluster.paths.drills, stage.cluster.paths.plans].flatMap((path) => readdirSync(path));

  test('passes with its roles, its tables counted, and the questions of its database asked', () => {
    const { report, result } = passed;
    expect(result).toMatchObject({ verdict: 'passed', kind: 'dump', dump: { id: dump.id, database: 'the shop' } });
    expect(result.checks.map(({ name, passed: held }) => [name, held])).toEqual([
      ['catalogue', true],
      ['restored', true],
      ['orders', true],
      ['owner', true],
    ]);
    expect(result.restored).toMatchObject({ tables: { found: 1 }, largest: [{ table: 'orders', rows: 1000 }] });
    expect(result.notes).toEqual([]);
    expect(report).toMatchObject({ status: 'SUCCESS', mode: 'dump', requestedBy: 'ann' });
    expect(renderReport(report)).toContain('DRILL PASSED');
    if (process.env.PGPROOF_TEST_LOG) console.log(renderReport(report), drillPage(report));
  });

  test('its page has what people file: date, operator, dump and file, size, duration, result, notes', () => {
    const page = drillPage(passed.report) as string;
    const facts = [
      dump.id,
      `${dump.id}.json`,
      passed.report.startedAt,
      'ann',
      'quarterly',
      'kB stored',
      'PASSED',
      '1000 rows',
    ];
    for (const fact of [...facts, 'Restore duration (RTO)', 'the shop']) expect(page).toContain(fact);
  });

  test('its RTO is the time until the database answers; its RPO the age of its snapshot', () => {
    const { report, result } = passed;
    expectRto(result, report.durationSeconds);
    expect(result.rpoSeconds).toBeGreaterThan(0);
    expect(result.rpoReason).toContain(dump.startedAt);
  });

  test('without a name it takes the newest; a false answer fails it, and leaves nothing behind either', async () => {
    const { report, result } = await drill({}, [['wrong', 'other', 'SELECT count(*) = 2 FROM t']]);
    expect(result).toMatchObject({ verdict: 'failed', dump: { id: other.id } });
    expect(result.verdictReason).toContain('wrong');
    expect(report.status).toBe('FAILED');
    expect(leftovers()).toEqual([]);
    expect(await listHolds(stage.cluster.repository, 'shop')).toEqual([]);
  });

  test('fails where the repository does not hold the bytes any more', async () => {
    const file = join(stage.folder, 'repository', other.dump.parts[0]?.key as string);
    const bytes = readFileSync(file);
    const changedBytes = Buffer.from(bytes);
    changedBytes[bytes.length - 5] = (changedBytes[bytes.length - 5] as number) ^ 1;
    writeFileSync(file, changedBytes);
    try {
      const { result } = await drill({ dump: other.id });
      expect(result).toMatchObject({ verdict: 'failed', error: { code: 'object-damaged' } });
      expect(result.checks).toContainEqual(expect.objectContaining({ name: 'restored', passed: null }));
    } finally {
      writeFileSync(file, bytes);
    }
  });

  test('code in a dump has no rights of a superuser, whenever it is called', async () => {
    const { sql } = stage.server;
    const reached = join(stage.folder, 'reached');
    mkdirSync(reached);
    const write = (name: string) =>
      `BEGIN EXECUTE 'COPY (SELECT 1) TO ''${join(reached, name)}'''; EXCEPTION WHEN insufficient_privilege THEN NULL; END`;
    const body = (name: string) => `LANGUAGE plpgsql AS $$ BEGIN ${write(name)}; RETURN true; END $$`;
    await sql('CREATE ROLE mallory');
    await sql('CREATE DATABASE evil OWNER mallory');
    const statements = [
      `CREATE FUNCTION in_check(int) RETURNS boolean ${body('check')}`,
      'CREATE TABLE a (n int CHECK (in_check(n)))',
      'CREATE TABLE b (n int)',
      `CREATE FUNCTION in_late_check(b) RETURNS boolean ${body('late-check')}`,
      'ALTER TABLE b ADD CONSTRAINT late CHECK (in_late_check(b.*))',
      `CREATE FUNCTION in_index(int) RETURNS boolean ${body('index')}`,
      `CREATE FUNCTION wrapped(n int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT public.in_index(n)'`,
      'CREATE INDEX ON a (wrapped(n))',
      `CREATE FUNCTION in_view() RETURNS boolean ${body('view')}`,
      'CREATE MATERIALIZED VIEW v AS SELECT in_view()',
      'CREATE VIEW asked AS SELECT in_view() AS yes',
      'INSERT INTO a VALUES (1)',
      'INSERT INTO b VALUES (1)',
    ];
    // One session: what she may not do, she may not here either.
    await sql(`SET ROLE mallory; ${statements.join('; ')}`, [], 'evil');
    const globals = { globals: true };
    await takeDump(stage.cluster, targetOf('evil', globals), quiet);
    const { result } = await drill({ database: 'evil' }, [['asked', 'evil', 'SELECT yes FROM asked']]);
    expect(result.verdict, JSON.stringify(result)).toBe('passed');
    expect(readdirSync(reached)).toEqual([]);
    expect(result.restored?.largest).toContainEqual({ schema: 'public', table: 'a', rows: 1 });
    expect(result.notes.join()).toContain('Not made, because');
    expect(result.notes.join()).toContain('b late');
  });

  test('plain SQL, whose code would have them, is drilled only when somebody names it', async () => {
    const { record } = await takeDump(stage.cluster, targetOf('postgres', { format: 'plain' }), quiet);
    await expect(drill({ database: 'postgres' })).rejects.toMatchObject({ code: 'backup-missing' });
    expect((await drill({ dump: record.id })).result.verdict).toBe('passed');
  });

  test('a directory dump without globals is drilled, too: its roles are those that its list speaks of', async () => {
    const form = { format: 'directory', globals: false } as const;
    const { record } = await takeDump(stage.cluster, targetOf('the shop', form), quiet);
    const { result } = await drill({ dump: record.id }, [
      ['owner', 'the shop', `SELECT relowner = 'clerk'::regrole FROM pg_class WHERE relname = 'orders'`],
    ]);
    expect(result.verdict, JSON.stringify(result)).toBe('passed');
  });

  test('what pg_dumpall wrote is drilled, too, where somebody names it: globals, and a whole server with all questions', async () => {
    const dumped = async (kind: 'globals' | 'cluster') => {
      const [target] = await dumpTargets(stage.cluster, { kind, tier: 'manual', databases: null }, quiet);
      return (await takeDump(stage.cluster, target as DumpTarget, quiet)).record;
    };
    const globals = await drill({ dump: (await dumped('globals')).id }, [['any', 'other', 'SELECT false']]);
    expect(globals.result).toMatchObject({
      verdict: 'passed',
      dump: { database: null },
      restored: null,
      checks: [{ name: 'catalogue' }, { name: 'restored', detail: expect.stringMatching(/psql .*roles: [1-9]/) }],
      notes: [],
    });
    const whole = await drill({ dump: (await dumped('cluster')).id }, [
      [
        'orders',
        'the shop',
        `SELECT count(*) = 1000 AND bool_and('clerk' = tableowner) FROM orders, pg_tables WHERE tablename = 'orders'`,
      ],
      ['nowhere', 'no such', 'SELECT true'],
    ]);
    expect(whole.result).toMatchObject({
      verdict: 'failed',
      checks: [
        { name: 'catalogue', passed: true },
        { name: 'restored', passed: true, detail: expect.stringMatching(/databases: [3-9], .*tables: [2-9]$/) },
        { name: 'orders', passed: true },
        { name: 'nowhere', passed: false, detail: `the dump has no database 'no such'` },
      ],
      restored: { largest: expect.arrayContaining([{ schema: 'the shop: public', table: 'orders', rows: 1000 }]) },
    });
    expect(leftovers()).toEqual([]);
  });

  test('refuses what it cannot do before anything is made', async () => {
    await expect(drill({ database: 'nowhere' })).rejects.toMatchObject({ code: 'backup-missing' });
    await expect(drill({ dump: dump.id, database: 'other' })).rejects.toMatchObject({ code: 'usage' });
    const rows = (await takeDump(stage.cluster, targetOf('other', { content: 'data' }), quiet)).record;
    await expect(drill({ dump: rows.id })).rejects.toMatchObject({ code: 'dump-refused' });
    expect(leftovers()).toEqual([]);
  });

  test('scenario 34: what a killed one left is taken away, and said', async () => {
    const { drills } = stage.cluster.paths;
    const gone = { pid: 2 ** 22 - 1, bootId: 'another', startTicks: '1', drillId: '20261120T140501Z-drill-3fa94c1e' };
    writeFileSync(join(drills, '3fa94c1e.json'), JSON.stringify(gone));
    const { result } = await drill({ dump: dump.id });
    expect(result.notes.join()).toContain(
      'What the killed drill 20261120T140501Z-drill-3fa94c1e had left was removed.',
    );
    expect(existsSync(join(drills, '3fa94c1e.json'))).toBe(false);
  });
});
