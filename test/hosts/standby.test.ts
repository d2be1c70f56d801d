import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { awaitWal, commit, copyBase, takeBackup } from '../../backup/backup.ts';
import { compareLsn } from '../../core/lsn.ts';
import { parseTarget } from '../../core/target.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { askRole } from '../../postgres/role.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { planRestore } from '../../restore/plan.ts';
import { startRestore } from '../../restore/start.ts';
import { readFrontier } from '../../wal/frontier.ts';
import { beat, beatOrFollow, newestArchivedHeartbeat } from '../../wal/heartbeat.ts';
import { runShipper } from '../../wal/shipper.ts';
import { walStatus } from '../../wal/status.ts';
import { switchWal } from '../../wal/switch.ts';
import { ask } from '../restore/support.ts';
import { alternate } from '../support/postgres.ts';
import { openStage, type Stage, until } from '../support/stage.ts';
import { adopted, openPair, type Pair } from './support.ts';

const run = { signal: new AbortController().signal, progress: () => undefined };

/** The story of one cluster on two hosts, in order: each test goes on where the one before it ended. */
describe.each(alternate(1))('a cluster on two hosts, PostgreSQL %s', (major) => {
  let stage: Stage;
  let pair: Pair;
  let shippers: { stop(): Promise<void> }[] = [];

  beforeAll(async () => {
    stage = await openStage({ major });
    await stage.server.sql('CREATE TABLE orders (n int)');
    await stage.server.sql('INSERT INTO orders VALUES (1)');
    pair = await openPair(stage);
    shippers = [ship(pair.left.cluster), ship(pair.right.cluster)];
  });
  afterAll(async () => {
    for (const shipper of shippers) await shipper.stop();
    await pair?.dispose();
    await stage?.dispose();
  });

  const right = (): ProtectedCluster => pair.right.cluster;
  const segmentEnds = () => switchWal(pair.left.cluster);
  /** What the workflow asks the primary's host for while a standby copies. */
  const endingSegments = async <T>(work: Promise<T>): Promise<T> => {
    const ended = work.then(
      () => true,
      () => true,
    );
    await until(async () => {
      await segmentEnds();
      return Promise.race([ended, Promise.resolve(false)]);
    }, 500);
    return work;
  };

  test('each host says what its server is, and a standby that receives nothing is not fit for a backup', async () => {
    expect(await askRole(pair.left.cluster.config.connection)).toEqual({ role: 'primary', unfit: null });
    await until(async () => (await askRole(right().config.connection)).unfit === null);
    await pair.standby.sql('SELECT pg_wal_replay_pause()');
    expect(await askRole(right().config.connection)).toEqual({ role: 'standby', unfit: 'its replay is paused' });
    await pair.standby.sql('SELECT pg_wal_replay_resume()');
    const nobody = { ...right().config.connection, socket: stage.folder };
    expect(await askRole(nobody)).toMatchObject({ role: 'down', unfit: expect.any(String) });
  });

  test('a backup from the standby waits for the WAL that the primary archives, and a restore of it holds the rows', async () => {
    await stage.server.sql('INSERT INTO orders VALUES (2)');
    await until(async () => (await pair.standby.sql('SELECT n FROM orders')).length === 2);
    const record = await endingSegments(takeBackup(right(), run));
    expect(record.notes).toContain('taken from the standby on db-8');
    await stage.server.sql('INSERT INTO orders VALUES (3)');
    const { lsn } = await segmentEnds();
    await until(async () => compareLsn((await readFrontier(right())).lsn, lsn) >= 0);

    const into = join(stage.folder, 'restored');
    const plan = await planRestore(right(), { target: parseTarget('latest'), into }, run);
    expect(plan.backupId).toBe(record.id);
    await startRestore(right(), plan.id, run);
    const rows = await ask<{ n: number }>(stage.server.bin, into, 'SELECT n FROM orders ORDER BY n');
    expect(rows.map(({ n }) => n)).toEqual([1, 2, 3]);
    rmSync(into, { recursive: true });
  });

  test('what one host is about to commit, another one does not take for a leftover', async () => {
    await pair.standby.archiving('on');
    const { id } = await copyBase(right(), run); // a standby that archives nothing waits for nobody
    await pair.standby.archiving('always');
    await takeBackup(pair.left.cluster, run);
    await segmentEnds();
    await awaitWal(right(), id, run);
    await commit(right(), id, run);
    const ids = (await listBackups(right().repository, right().keys, 'shop')).map((entry) => entry.id);
    expect(ids).toContain(id);
  });

  test('the host of the standby notes the heartbeats that reach it, and can say what would be lost', async () => {
    const written = await beat(pair.left.cluster);
    await until(async () => (await beatOrFollow(right()))?.sequence === written.sequence);
    const { lsn } = await segmentEnds();
    await until(async () => compareLsn((await readFrontier(right())).lsn, lsn) >= 0);
    const newest = await newestArchivedHeartbeat(right(), await readFrontier(right()));
    expect(newest).toMatchObject({ sequence: written.sequence, at: written.at, timeline: 1 });
  });

  test('a standby that is promoted beside its primary enters nothing into the archive, and says what a person decides', async () => {
    await pair.standby.promote();
    await pair.standby.sql('INSERT INTO orders VALUES (8)');
    await pair.standby.sql('SELECT pg_switch_wal()');
    await until(async () =>
      (await problemsOf(right())).some((message) => message.includes('names db-7 as the leader')),
    );
    expect(await adopted(right())).toEqual([]);
    await expect(takeBackup(right(), run)).rejects.toMatchObject({
      code: 'timeline-not-adopted',
      hint: expect.stringContaining('clusters.shop.host: [db-8, db-7]'),
    });
    // The primary goes on as if nothing had happened.
    await stage.server.sql('INSERT INTO orders VALUES (4)');
    const { lsn } = await segmentEnds();
    await until(async () => compareLsn((await readFrontier(right())).lsn, lsn) >= 0);
    expect(await readFrontier(right())).toMatchObject({ timeline: 1, missing: [] });
  });

  test('once the config names its host first, its timeline is adopted with the WAL that waited, and it is backed up', async () => {
    for (const shipper of shippers) await shipper.stop();
    await pair.handOver(['db-8', 'db-7']);
    shippers = [ship(pair.left.cluster), ship(pair.right.cluster)];
    await until(async () => (await adopted(right())).includes(2));
    const { lsn } = await switchWal(right());
    await until(async () => {
      const frontier = await readFrontier(right());
      return frontier.timeline === 2 && compareLsn(frontier.lsn, lsn) >= 0;
    });
    expect(await readFrontier(right())).toMatchObject({ timeline: 2, missing: [] });
    const record = await takeBackup(right(), run);
    expect(record).toMatchObject({ timeline: 2 });
  });

  test('the old primary is not backed up any more, and what it writes stays out', async () => {
    await expect(takeBackup(pair.left.cluster, run)).rejects.toMatchObject({
      code: 'timeline-not-adopted',
      message: expect.stringContaining('timeline 1, and timeline 2 was adopted already'),
    });
    const before = await readFrontier(right());
    await stage.server.sql('INSERT INTO orders VALUES (5)');
    await segmentEnds();
    await until(async () => (await walStatus(pair.left.cluster)).foreign.length > 0);
    expect((await readFrontier(right())).lsn).toBe(before.lsn);
  });
});

const problemsOf = async (cluster: ProtectedCluster): Promise<string[]> =>
  (await walStatus(cluster)).problems.map(({ message }) => message);

function ship(cluster: ProtectedCluster): { stop(): Promise<void> } {
  const stopped = new AbortController();
  const running = runShipper(cluster, { signal: stopped.signal, intervalMs: 50 });
  return {
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}
