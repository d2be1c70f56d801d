import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { takeBackup } from '../../backup/backup.ts';
import { copyRepository } from '../../copy/copy.ts';
import { PgproofError } from '../../core/errors.ts';
import { parseTarget } from '../../core/target.ts';
import { reportedDrill } from '../../drill/report.ts';
import { expireRepository } from '../../expire/repository.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { holdInEach, releaseHeld } from '../../repository/held.ts';
import { listHolds } from '../../repository/holds.ts';
import { initRepository } from '../../repository/repository.ts';
import { planRestore } from '../../restore/plan.ts';
import { startRestore } from '../../restore/start.ts';
import { faulty } from '../../storage/fault.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { runShipper } from '../../wal/shipper.ts';
import { ask, openRestoreStage, type RestoreStage } from '../restore/support.ts';
import { alternate } from '../support/postgres.ts';
import { withStore } from '../support/repositories.ts';
import { quietRun } from '../support/run.ts';
import { tempDir } from '../support/temp.ts';

const twoDays = 2 * 86_400_000;

describe.each(alternate(1))('scenario 37: expire beside others, PostgreSQL %s', (major) => {
  let stage: RestoreStage;
  let cluster: ProtectedCluster;

  beforeAll(async () => {
    stage = await openRestoreStage({ major });
    const retention = { minimum: 1, last: 1, dumps: {}, repositories: {} };
    cluster = { ...stage.cluster, config: { ...stage.cluster.config, retention } };
  });
  afterAll(() => stage?.dispose());
  afterEach(() => void vi.useRealTimers());

  const expire = () => expireRepository(cluster, { timezone: 'UTC', confirmed: true, dryRun: false }, quietRun());
  const listed = async () => (await listBackups(cluster.repository, cluster.keys, cluster.name)).map(({ id }) => id);

  test('what a restore plan of two days ago needs stays until it was carried out, while a backup and a copy go on', async () => {
    const { server } = stage;
    await server.sql('CREATE TABLE orders AS SELECT n FROM generate_series(1, 1000) n');
    const old = await stage.backup();
    await server.sql('INSERT INTO orders SELECT n FROM generate_series(1001, 1500) n');
    await stage.archive();
    const plan = await planRestore(
      cluster,
      { target: parseTarget('latest'), into: join(tempDir(), 'data'), backup: old.id },
      quietRun(),
    );
    expect(await listHolds(cluster.repository, cluster.name)).toMatchObject([
      { id: plan.holds[0]?.id, operation: 'plan', by: 'db-7', needs: [{ backups: [old.id] }] },
    ]);
    const newer = await stage.backup();
    const to = await initRepository('offsite', { type: 'file', path: join(tempDir(), 'offsite') });

    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + twoDays });
    const [expired, newest, copied] = await Promise.all([
      expire(),
      stage.backup(),
      copyRepository({ ...cluster, cluster: cluster.name, from: cluster.repository, to }, quietRun()),
    ]);
    expect(expired).toMatchObject({ error: null });
    expect(copied).toMatchObject({ outcome: 'complete', backups: expect.arrayContaining([old.id, newer.id]) });
    expect(await listed()).toEqual([old.id, newer.id, newest.id]);

    const whom = { operation: 'restore', reason: `plan ${plan.id}`, seconds: 86_400 } as const;
    await holdInEach(cluster, whom, null, quietRun()); // as one that was killed leaves it
    const { dataDir } = await startRestore(cluster, plan.id, quietRun());
    expect(await ask(server.bin, dataDir, 'SELECT count(*)::int AS rows FROM orders')).toEqual([{ rows: 1500 }]);
    expect(await listHolds(cluster.repository, cluster.name)).toEqual([]);
    expect(await expire()).toMatchObject({ outcome: 'done', error: null });
    expect(await listed()).not.toContain(old.id);
    expect((await listBackups(to, cluster.keys, cluster.name)).map(({ id }) => id)).toContain(old.id);
  });

  test('a plan whose hold was released is refused before it begins when what it needs is gone', async () => {
    const { id } = await stage.backup();
    const request = { target: parseTarget(`backup:${id}`), into: join(tempDir(), 'data') };
    const plan = await planRestore(cluster, request, quietRun());
    await stage.backup();
    await expire();
    expect(await listed()).toContain(id);
    await releaseHeld(cluster, plan.holds);
    await expire();
    expect(await listed()).not.toContain(id);
    await expect(startRestore(cluster, plan.id, quietRun())).rejects.toMatchObject({
      code: 'backup-deleted',
      hint: expect.stringContaining('Plan the restore again'),
    });
    expect(await listHolds(cluster.repository, cluster.name)).toEqual([]);
  });

  test('a drill passes beside expire, over and over, and leaves nothing held', async () => {
    const stop = new AbortController();
    const shipping = runShipper(cluster, { signal: stop.signal });
    await takeBackup(cluster, quietRun());
    let isDrilled = false;
    const created: string[] = [];
    const asked = { kind: 'probe', reason: null, requestedBy: null } as const;
    const drilling = reportedDrill(
      withStore(cluster, noting(cluster.repository.store, created)),
      asked,
      quietRun(),
      null,
    );
    const ended = (): void => {
      isDrilled = true;
    };
    drilling.then(ended, ended);
    const expired: (string | undefined)[] = [];
    while (!isDrilled) expired.push((await expire()).error?.code);
    expect((await drilling).report.result).toMatchObject({ verdict: 'passed' });
    expect(new Set(expired)).toEqual(new Set([undefined]));
    // Until the report is there, nobody but the hold says that the backup must stay.
    expect(created.filter((key) => /\/reports\/|\.released\.json$/.test(key))).toEqual([
      expect.stringContaining('/reports/'),
      expect.stringContaining('.released.json'),
    ]);
    expect(await listHolds(cluster.repository, cluster.name)).toEqual([]);
    stop.abort();
    await shipping;
  });

  test('a host that may hold nothing restores all the same, and the plan says that nothing keeps what it needs', async () => {
    const error = new PgproofError('store-denied', 'it may not create this');
    const store = faulty(cluster.repository.store, [
      { on: 'create', key: /\/holds\//, fault: { kind: 'fail', error } },
    ]);
    const repository = { ...cluster.repository, store };
    const reading = { ...cluster, repository, repositories: [repository] };
    const request = { target: parseTarget('latest'), into: join(tempDir(), 'data') };
    const plan = await planRestore(reading, request, quietRun());
    expect(plan).toMatchObject({
      holds: [],
      notes: expect.arrayContaining([expect.stringMatching(/^Nothing is held in/)]),
    });
    const { dataDir } = await startRestore(reading, plan.id, quietRun());
    expect(await ask(stage.server.bin, dataDir, 'SELECT count(*)::int AS rows FROM orders')).toEqual([{ rows: 1500 }]);
  });
});

/** The same store; the keys that are created are noted. */
function noting(store: ObjectStore, created: string[]): ObjectStore {
  return {
    create: (key, ...rest) => {
      created.push(key);
      return store.create(key, ...rest);
    },
    read: store.read.bind(store),
    list: store.list.bind(store),
    remove: store.remove.bind(store),
  };
}
