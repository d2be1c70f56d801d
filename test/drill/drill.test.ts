import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { takeBackup } from '../../backup/backup.ts';
import { roleSql } from '../../check/role.ts';
import { phasesOutsideRto } from '../../core/report.ts';
import { runDrill } from '../../drill/drill.ts';
import { reportedDrill } from '../../drill/report.ts';
import { renderReport } from '../../report/render.ts';
import { beat } from '../../wal/heartbeat.ts';
import { alternate } from '../support/postgres.ts';
import { listReports } from '../support/reports.ts';
import { changed, expectRto, openProtected, type ProtectedStage, quiet, withChecks } from './protected.ts';

const request = { kind: 'probe', reason: 'a test', requestedBy: 'ann' } as const;

describe.each(alternate(1))('a drill on PostgreSQL %s', (major) => {
  let stage: ProtectedStage;

  beforeAll(async () => {
    stage = await openProtected(major);
    await stage.server.sql('CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id');
  });

  afterAll(() => stage?.dispose());

  test('passes on a healthy repository: restored to the point between two rows, and asked there', async () => {
    await beat(stage.cluster);
    const checks = [{ name: 'orders', database: 'postgres', sql: 'SELECT count(*) = 1000 FROM orders' }];
    const cluster = changed(stage.cluster, { drills: { checks } });
    const { key, report } = await reportedDrill(cluster, request, quiet, null);
    const { result } = report;
    expect(result).toMatchObject({ verdict: 'passed', verdictReason: null, notes: [] });
    expect(result.checks).toEqual(
      ['catalogue', 'pg_verifybackup', 'stopped-at-target', 'marker-a-present', 'marker-b-absent', 'orders'].map(
        (name) => expect.objectContaining({ name, passed: true }),
      ),
    );
    expect(result.target).toBe(`name:pgproof-${report.id}`);
    expect(result.reached).toContain(`at restore point "pgproof-${report.id}"`);
    // The heartbeat was written after what the repository held when the drill began.
    expect(result).toMatchObject({ rpoSeconds: null, rpoReason: expect.stringContaining('no heartbeat') });
    expect(report).toMatchObject({ status: 'SUCCESS', operation: 'drill', reason: 'a test', requestedBy: 'ann' });
    expect(await listReports(cluster.repository, cluster.name)).toContainEqual(report);
    expect(key).toBe(`shop/reports/${report.id.slice(0, 4)}/${report.id.slice(4, 6)}/${report.id}.json`);
    if (process.env.PGPROOF_TEST_LOG) console.log(renderReport(report, { reportFile: key }));
  });

  test('passes with the rights that init proposes and without a worker; its RTO is the phases from target to first answer', async () => {
    const { connection } = stage.cluster.config;
    await stage.server.sql(roleSql({ ...connection, user: 'pgproof' }));
    await stage.server.sql('ALTER TABLE pgproof.heartbeat OWNER TO pgproof; DROP TABLE pgproof.drill_marker');
    const cluster = changed(stage.cluster, { connection: { ...connection, user: 'pgproof' } });
    await stage.pauseShipping();
    onTestFinished(stage.resumeShipping);
    await beat(cluster);
    const began = performance.now();
    const result = await runDrill(cluster, request, quiet);
    const seconds = (performance.now() - began) / 1000;
    expect(result).toMatchObject({ verdict: 'passed', notes: [] });
    const counted = result.phases.filter(({ name }) => !phasesOutsideRto.includes(name));
    expect(counted.map(({ name }) => name)).toEqual(['plan', 'fetch', 'verify', 'configure', 'recover']);
    expectRto(result, seconds);
    expect(result.targetErrorSeconds).toBeGreaterThanOrEqual(0);
  });

  test('leaves no server, folder, plan or row behind', async () => {
    const { drills, plans, fetch } = stage.cluster.paths;
    expect([drills, plans, fetch].flatMap((path) => readdirSync(path))).toEqual([]);
    expect(await stage.server.sql('SELECT FROM pgproof.drill_marker')).toEqual([]);
  });

  test('scenario 30: passes where replay creates a tablespace, and touches nothing in the primary’s own place', async () => {
    const place = join(stage.folder, 'fast');
    mkdirSync(place, { mode: 0o700 });
    await stage.server.sql(`CREATE TABLESPACE fast LOCATION '${place}'`);
    await stage.server.sql(
      'CREATE TABLE hot WITH (autovacuum_enabled = false) TABLESPACE fast AS SELECT generate_series(1, 50000) AS id',
    );
    await stage.server.sql('CHECKPOINT');
    const before = sizesBelow(place);
    const hot = { hot: 'SELECT count(*) = 50000 FROM hot' };
    expect(await runDrill(withChecks(stage.cluster, hot), request, quiet)).toMatchObject({ verdict: 'passed' });
    expect(sizesBelow(place)).toEqual(before);
    expect(await stage.server.sql('SELECT count(*)::int AS rows FROM hot')).toEqual([{ rows: 50000 }]);
  });

  test('scenario 30: passes with a backup that has the tablespace, restored inside the sandbox', async () => {
    await takeBackup(stage.cluster, quiet);
    const before = sizesBelow(join(stage.folder, 'fast'));
    const result = await runDrill(
      withChecks(stage.cluster, { hot: 'SELECT count(*) = 50000 FROM hot' }),
      request,
      quiet,
    );
    expect(result.verdict).toBe('passed');
    expect(sizesBelow(join(stage.folder, 'fast'))).toEqual(before);
  });
});

/** Path and size of every file. */
function sizesBelow(folder: string): [string, number][] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names.sort().map((name) => [name, statSync(join(folder, name)).size]);
}
