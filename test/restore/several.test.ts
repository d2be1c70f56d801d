import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { takeBackup } from '../../backup/backup.ts';
import { PgproofError } from '../../core/errors.ts';
import { parseTarget } from '../../core/target.ts';
import { openCluster } from '../../host/cluster.ts';
import { openHost } from '../../host/host.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import type { BackupRecord } from '../../repository/record.ts';
import { planRestore } from '../../restore/plan.ts';
import type { RestorePlan, RestoreResult } from '../../restore/record.ts';
import { startRestore } from '../../restore/start.ts';
import type { FaultPlan } from '../../storage/fault.ts';
import { shipOnce } from '../../wal/shipper.ts';
import { alternate } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { until } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { type Two, withFar } from '../support/two.ts';
import { ask, openRestoreStage, type RestoreStage } from './support.ts';

/** What can be wrong with the nearest copy of a part. PGPROOF_TEST_FULL tries each with a whole restore. */
const allWays = [
  ['damaged', { kind: 'flip', at: 100_000 }],
  ['away', { kind: 'fail' }],
  ['cut short', { kind: 'truncate', bytes: 400_000 }],
  ['missing', { kind: 'forget' }],
] as const;
const ways = process.env.PGPROOF_TEST_FULL ? allWays : allWays.slice(0, 1);

describe.each(alternate(0))('a restore from two repositories, PostgreSQL %s', (major) => {
  let stage: RestoreStage;
  let two: Two;
  let record: BackupRecord;

  beforeAll(async () => {
    stage = await openRestoreStage({ major });
    two = await withFar(stage);
    const { server } = stage;
    await server.sql('CREATE TABLE orders AS SELECT n FROM generate_series(1, 1000) n');
    record = await takeBackup(two.cluster, quietRun());
    await server.sql('INSERT INTO orders SELECT n FROM generate_series(1001, 1500) n');
    await server.sql('SELECT pg_switch_wal()');
    await server.sql('INSERT INTO orders SELECT n FROM generate_series(1501, 2000) n');
    await server.sql('SELECT pg_switch_wal()');
    await until(async () => {
      const [row] = await server.sql<{ done: boolean }>(
        `SELECT NOT EXISTS (SELECT FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready') AS done`,
      );
      return row?.done === true;
    });
    await shipOnce(two.cluster, { signal: new AbortController().signal });
  });
  afterAll(() => stage?.dispose());

  /** Plans and carries it out, with the faults that the two repositories have meanwhile. */
  const restore = async (
    faults: { near?: FaultPlan; far?: FaultPlan },
    cluster: ProtectedCluster = two.cluster,
  ): Promise<{ plan: RestorePlan; result: RestoreResult }> => {
    two.faults.near.splice(0, two.faults.near.length, ...(faults.near ?? []));
    two.faults.far.splice(0, two.faults.far.length, ...(faults.far ?? []));
    const into = join(tempDir(), 'data');
    try {
      const plan = await planRestore(cluster, { target: parseTarget('latest'), into }, quietRun());
      return { plan, result: await startRestore(cluster, plan.id, quietRun()) };
    } finally {
      for (const plan of [two.faults.near, two.faults.far]) plan.length = 0;
    }
  };
  const expectAll = async ({ dataDir }: RestoreResult): Promise<void> =>
    expect(await ask(stage.server.bin, dataDir, 'SELECT count(*)::int AS rows FROM orders')).toEqual([{ rows: 2000 }]);
  const folderOf = (name: string) => join(stage.folder, name);

  test('takes everything from the nearest while that is whole, and has nothing to say', async () => {
    const { result } = await restore({ far: [{ on: 'read', key: /pgdata|\/wal\//, fault: { kind: 'fail' } }] });
    expect(result).toMatchObject({ fallbacks: [], fallbackCount: 0 });
    await expectAll(result);
  });

  test.each(ways)('takes a part that is %s in the nearest from the next, and says so', async (_, fault) => {
    const key = /pgdata\.1\.tar/;
    const { result } = await restore({ near: [{ on: 'read', key, fault }] });
    await expectAll(result);
    expect(result.fallbacks[0]).toMatchObject({
      what: expect.stringMatching(key),
      missingIn: 'local',
      takenFrom: 'far',
    });
    expect(result.notes).toContainEqual(expect.stringContaining("came from repository 'far', because in 'local'"));
  });

  test('takes WAL that the nearest has damaged, or not at all, from the next', async () => {
    const walFolder = join(folderOf('repository'), 'shop', record.era, 'wal');
    const names = readdirSync(walFolder, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('.zst'));
    const files = names.sort().map((name) => join(walFolder, name));
    const [first, second] = files.slice(-2) as [string, string];
    const kept = readFileSync(first);
    writeFileSync(first, kept.subarray(0, 3000));
    renameSync(second, `${second}.away`);
    const { plan, result } = await restore({});
    await expectAll(result);
    expect(plan.notes).toContainEqual(expect.stringContaining("came from repository 'far'"));
    expect(result.fallbacks.map(({ code }) => code)).toContain('object-damaged');
    expect(result.fallbacks.map(({ code }) => code)).toContain('object-missing');
    renameSync(`${second}.away`, second);
    writeFileSync(first, kept);
  });

  test('uses a backup whose commit file is damaged in the nearest', async () => {
    const { plan, result } = await restore({
      near: [{ on: 'read', key: /\/backups\//, fault: { kind: 'flip', at: 200 } }],
    });
    expect(plan.notes).toContainEqual(expect.stringContaining(`${record.id} is damaged in repository 'local'`));
    await expectAll(result);
  });

  test('fails as before when no repository has a part whole, and names what the nearest said', async () => {
    const key = /pgdata\.1\.tar/;
    const wrong: FaultPlan = [{ on: 'read', key, fault: { kind: 'flip', at: 100_000 } }];
    await expect(restore({ near: wrong, far: [...wrong] })).rejects.toMatchObject({
      code: 'object-damaged',
      message: expect.stringMatching(/^backup \d{8}T\d{6}Z-full-\w+ cannot be restored: /),
      hint: expect.stringContaining('--backup ID'),
    });
  });

  test('goes on with the others when the nearest is lost between plan and start', async () => {
    const into = join(tempDir(), 'data');
    const plan = await planRestore(two.cluster, { target: parseTarget('latest'), into }, quietRun());
    const error = new PgproofError('repository-missing', 'there is no repository');
    const open = () => Promise.reject(error);
    const left = {
      repository: two.far,
      repositories: [two.far],
      written: [two.far],
      unavailable: [{ name: 'local', error, open }],
    };
    const result = await startRestore({ ...two.cluster, ...left }, plan.id, quietRun());
    await expectAll(result);
  });

  test('scenario 29: a brand-new host with nothing but config, key and the second repository restores', async () => {
    const config = {
      hosts: { 'db-8': { state: join(tempDir(), 'state') } },
      repositories: {
        local: { type: 'file', path: join(tempDir(), 'never-mounted') },
        far: { type: 'file', path: folderOf('far') },
      },
      keys: { main: { file: join(stage.folder, 'main.key') } },
      clusters: {
        shop: {
          host: 'db-8',
          connection: { socket: '/nonexistent', user: 'postgres' },
          tools: { bin: stage.server.bin },
          repositories: ['local', 'far'],
          write: 'all',
          key: 'main',
        },
      },
    };
    const configFile = join(tempDir(), 'pgproof.yaml');
    writeFileSync(configFile, JSON.stringify(config));
    const elsewhere = await openCluster(await openHost({ configFile, host: 'db-8' }), 'shop');
    const { plan, result } = await restore({}, elsewhere);
    expect(plan.notes).toContainEqual(
      expect.stringMatching(/^Repository 'local' was not asked: there is no repository/),
    );
    await expectAll(result);
    rmSync(configFile);
  });
});
