import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { reportedCopy } from '../../copy/report.ts';
import { type CopyResult, report as reportSchema } from '../../core/report.ts';
import { parseTarget } from '../../core/target.ts';
import { openCluster } from '../../host/cluster.ts';
import { openHost } from '../../host/host.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { planRestore } from '../../restore/plan.ts';
import { startRestore } from '../../restore/start.ts';
import { type Failed, pgproof } from '../client/cli.ts';
import { ask, openRestoreStage, type RestoreStage } from '../restore/support.ts';
import { alternate } from '../support/postgres.ts';
import { listReports } from '../support/reports.ts';
import { quietRun } from '../support/run.ts';
import { tempDir } from '../support/temp.ts';
import { silent } from '../support/temporal.ts';
import { contentOf, listed } from './support.ts';

describe.each(alternate(0))('with PostgreSQL %s', (major) => {
  let stage: RestoreStage;
  let offsite: ProtectedCluster['repository'];
  beforeAll(async () => {
    stage = await openRestoreStage({ major, offsite: true });
    offsite = stage.cluster.repositories[1] as ProtectedCluster['repository'];
    await stage.server.sql('CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n');
    await stage.backup();
    await stage.server.sql('INSERT INTO kept SELECT generate_series(1001, 3000)');
    await stage.archive();
  });
  afterAll(() => stage?.dispose());

  const here = (...args: string[]) => pgproof([...args, '--config', stage.configFile, '--host', 'db-7']);
  const copy = (to: string | null = null) =>
    reportedCopy(stage.cluster, { from: null, to, reason: null, requestedBy: null }, quietRun(), null);

  test.each([
    ['among the WAL', '/wal/'],
    ['among the parts', '/backup_manifest'],
    ['before the commit file', '/backups/'],
  ])('killed %s, a copy leaves nothing half listed', async (_, pattern) => {
    await killedAt(pattern);
    expect(await listed(offsite, stage.cluster.keys)).toEqual([]);
  });

  test('the next copy goes on, sends nothing twice, and restores with the source gone, on a fresh host', async () => {
    const there = Object.keys(await contentOf(offsite)).length;
    const { report } = await copy();
    const [target] = (report.result as CopyResult).targets;
    expect(target).toMatchObject({ to: 'offsite', outcome: 'complete', lag: { seconds: 0, segments: 0, backups: 0 } });
    expect(target?.skipped.objects).toBe(there);
    expect(await contentOf(offsite)).toEqual(await contentOf(stage.cluster.repository));
    expect((await copy()).report.result).toMatchObject({ targets: [{ copied: { objects: 0 } }] });
    expect(await listReports(offsite, 'shop')).toHaveLength(2);

    await withoutSource(async () => {
      const fresh = await freshHost();
      const into = join(tempDir(), 'restored');
      const plan = await planRestore(fresh, { target: parseTarget('latest'), into }, quietRun());
      await startRestore(fresh, plan.id, quietRun());
      const rows = await ask<{ count: string; max: number }>(
        stage.server.bin,
        into,
        'SELECT count(*), max(n) FROM kept',
      );
      expect(rows).toEqual([{ count: '3000', max: 3000 }]);
    });
  });

  test('a target that is away fails, and the others are copied all the same', async () => {
    const away = join(tempDir(), 'nothing-mounted');
    const config = configOf({ ...repositories(), away: { type: 'file', path: away } }, ['local', 'away', 'offsite']);
    await stage.server.sql('INSERT INTO kept SELECT 1');
    await stage.archive();
    const { code, json } = await pgproof(['copy', 'shop', '--offline', '--config', config, '--host', 'db-7']);
    const { error } = json as Failed;
    expect({ code, error: error.code }).toEqual({ code: 1, error: 'copy-incomplete' });
    expect(error.message).toContain(away);
    const reports = await listReports(stage.cluster.repository, 'shop');
    const report = reports.find(({ id }) => `${error.facts.report}`.includes(id));
    expect(report).toMatchObject({
      status: 'FAILED',
      result: {
        targets: [
          { to: 'away', outcome: 'failed' },
          { to: 'offsite', outcome: 'complete', copied: { objects: 1 } },
        ],
      },
    });
  });

  test('the verb tells what it did as a document, and refuses what it cannot do', async () => {
    const { code, json } = await here('copy', 'shop', '--offline', '--to', 'offsite', '--reason', 'by hand');
    expect(code).toBe(0);
    expect(reportSchema.parse(json)).toMatchObject({ operation: 'copy', status: 'SUCCESS', reason: 'by hand' });

    const unknown = await here('copy', 'shop', '--offline', '--to', 'elsewhere');
    expect(unknown).toMatchObject({ code: 2, json: { error: { code: 'repository-unknown' } } });
    const itself = await here('copy', 'shop', '--offline', '--to', 'local');
    expect(itself).toMatchObject({ code: 2, json: { error: { code: 'usage' } } });
    const lonely = configOf({ local: repositories().local }, ['local']);
    const alone = await pgproof(['copy', 'shop', '--offline', '--config', lonely, '--host', 'db-7']);
    expect(alone).toMatchObject({ code: 2, json: { error: { code: 'repository-unknown' } } });
  });

  test('damage in the source is exit 3, after all else was copied', async () => {
    await stage.archive();
    const { store, location } = stage.cluster.repository;
    let newest = '';
    for await (const { key } of store.list('shop/')) if (key.includes('/wal/')) newest = key;
    writeFileSync(join(location, newest), 'not WAL at all');
    const { code, json } = await here('copy', 'shop', '--offline');
    const { error } = json as Failed;
    expect({ code, error: error.code }).toEqual({ code: 3, error: 'damage-found' });
    expect(error.facts.report).toMatch(/-copy-/);
  });

  async function killedAt(pattern: string): Promise<void> {
    const node = join(import.meta.dirname, '../../node_modules/.bin/node');
    const program = join(import.meta.dirname, 'child.ts');
    const child = spawn(node, [program, stage.configFile, pattern], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    const [said] = await Promise.race([once(child.stdout, 'data'), ended]);
    expect(String(said)).toBe('here\n');
    child.kill('SIGKILL');
    await ended;
  }

  const repositories = () => ({
    local: { type: 'file', path: join(stage.folder, 'repository') },
    offsite: { type: 'file', path: offsite.location },
  });

  /** Another config of the same cluster. */
  function configOf(places: Record<string, unknown>, names: string[], host = 'db-7', state = 'state'): string {
    const { connection, tools } = stage.cluster.config;
    const configFile = join(tempDir(), 'pgproof.yaml');
    const shop = { host, connection, tools: { bin: tools.bin }, repositories: names, key: 'main' };
    const document = {
      hosts: { [host]: { state: join(stage.folder, state) } },
      repositories: places,
      keys: { main: { file: join(stage.folder, 'main.key') } },
      clusters: { shop },
    };
    writeFileSync(configFile, stringify(document));
    return configFile;
  }

  /** A machine that has the key, and of repositories only the copy. */
  async function freshHost(): Promise<ProtectedCluster> {
    const configFile = configOf({ offsite: repositories().offsite }, ['offsite'], 'db-9', 'fresh');
    return openCluster(await openHost({ configFile, host: 'db-9', log: silent }), 'shop');
  }

  async function withoutSource(use: () => Promise<void>): Promise<void> {
    const { location } = stage.cluster.repository;
    renameSync(location, `${location}.gone`);
    try {
      await use();
    } finally {
      rmSync(location, { recursive: true, force: true });
      renameSync(`${location}.gone`, location);
    }
  }
});
