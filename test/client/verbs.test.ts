import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { report as reportSchema } from '../../core/report.ts';
import { withClusterLock } from '../../postgres/lock.ts';
import { backupRecord } from '../../repository/record.ts';
import { restorePlan } from '../../restore/record.ts';
import { alternate } from '../support/postgres.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { type Failed, pgproof } from './cli.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ major: alternate(1)[0] as string });
});
afterAll(() => stage?.dispose());

const here = (...args: string[]) => pgproof([...args, '--config', stage.configFile, '--host', 'db-7']);

test('backup, list, show, restore and drill work without Temporal, and tell it as documents', async () => {
  await stage.server.sql('CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n');
  const backup = await here('backup', 'shop', '--offline', '--reason', 'before the release');
  expect(backup.code).toBe(0);
  const report = reportSchema.parse(backup.json);
  expect(report).toMatchObject({
    operation: 'backup',
    status: 'SUCCESS',
    workflowId: null,
    reason: 'before the release',
  });
  expect(existsSync((backup.json as { reportFile: string }).reportFile)).toBe(true);

  const id = report.result.id as string;
  const list = await here('list');
  expect(list).toMatchObject({
    code: 0,
    json: { clusters: [{ cluster: 'shop', encrypted: true, backups: [{ id, state: 'whole' }] }] },
  });
  const shown = await here('show', 'shop', id.slice(0, 20));
  expect(backupRecord.parse(shown.json).id).toBe(id);

  const point = await here('wal', 'restore-point', 'shop', 'before-drop');
  expect(point).toMatchObject({ code: 0, json: { name: 'before-drop' } });
  await stage.server.sql('DROP TABLE kept');
  const switched = await here('wal', 'switch', 'shop');
  expect(switched.code).toBe(0);
  await here('check', 'shop'); // sends what waits in the spool through

  const into = join(tempDir(), 'restored');
  const planned = await here('restore', 'plan', 'shop', '--to', 'name:before-drop', '--into', into);
  expect(planned.code).toBe(0);
  expect(existsSync(into)).toBe(false);
  const plan = restorePlan.parse(planned.json);
  const started = await here('restore', 'start', 'shop', plan.id, '--offline');
  expect(started).toMatchObject({
    code: 0,
    json: { operation: 'restore', status: 'SUCCESS', result: { dataDir: into } },
  });
  expect(readFileSync(join(into, 'postgresql.auto.conf'), 'utf8')).toContain("archive_command = '/bin/false'");

  const drill = await here('drill', 'shop', '--offline');
  expect(drill).toMatchObject({
    code: 0,
    json: { operation: 'drill', status: 'SUCCESS', result: { verdict: 'passed', kind: 'probe' } },
  });
}, 180_000);

test('init proposes everything for a server it has not seen, changes nothing in it, and may be run twice', async () => {
  const folder = tempDir();
  const env = { XDG_STATE_HOME: folder };
  const args = [
    'init',
    'other',
    '--socket',
    stage.server.socketDir,
    '--host',
    'db-9',
    '--repository',
    join(folder, 'repository'),
  ];
  const before = await stage.server.sql('SELECT rolname FROM pg_roles ORDER BY 1');
  const first = await pgproof(args, { cwd: folder, env });
  const keyFile = readFileSync(join(folder, 'other.key'), 'utf8');
  const second = await pgproof(['init', 'other', '--host', 'db-9'], { cwd: folder, env }); // the rest is in the configuration
  expect(first).toMatchObject({
    code: 0,
    json: { cluster: 'other', configFile: join(folder, 'pgproof.yaml'), role: 'pgproof' },
  });
  expect(second.json).toEqual({ ...(first.json as object), strategy: null }); // only a new configuration has one
  expect(readFileSync(join(folder, 'other.key'), 'utf8')).toBe(keyFile);
  expect(await stage.server.sql('SELECT rolname FROM pg_roles ORDER BY 1')).toEqual(before);

  const third = await pgproof(['init', 'third', '--socket', stage.server.socketDir, '--host', 'db-9'], {
    cwd: folder,
    env,
  });
  expect(third).toMatchObject({ code: 2, json: { error: { code: 'config-exists' } } });
});

test('a busy cluster is refused at once with --no-wait, naming who holds it', async () => {
  const { cluster } = stage;
  await withClusterLock(cluster, { operation: 'backup', id: '20261121T000000Z-full-00000000' }, async () => {
    const { code, json } = await here('backup', 'shop', '--offline', '--no-wait');
    const { error } = json as Failed;
    expect({ code, error: error.code }).toEqual({ code: 1, error: 'cluster-busy' });
    expect(error.message).toContain('20261121T000000Z-full-00000000');
  });
});

test('a restore into a folder that is not empty is refused, and the folder stays as it is', async () => {
  const { code, json } = await here('restore', 'plan', 'shop', '--to', 'latest', '--into', stage.server.dataDir);
  expect(code).toBe(2);
  expect(['target-folder', 'cluster-running']).toContain((json as Failed).error.code);
  expect(stage.server.running()).toBe(true);
});

test('wal status says where the archive stands, and exits 3 when nobody ships', async () => {
  const { code, json } = await here('wal', 'status', 'shop');
  expect(code).toBe(3);
  expect(json).toMatchObject({ shipper: { alive: false }, problems: [{ code: 'worker-absent' }] });
  expect(await here('wal', 'quarantine', 'list', 'shop')).toMatchObject({
    code: 0,
    json: { conflicts: [], foreign: [] },
  });
});

test('an era is declared once for a data directory', async () => {
  expect(await here('era', 'new', 'shop')).toMatchObject({ code: 2, json: { error: { code: 'era-exists' } } });
});
