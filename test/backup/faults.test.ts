import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { awaitWal, commit, copyBase, takeBackup } from '../../backup/backup.ts';
import type { Progress } from '../../core/run.ts';
import { type FaultPlan, faulty } from '../../storage/fault.ts';
import { alternate } from '../support/postgres.ts';
import { withStore } from '../support/repositories.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage, until } from '../support/stage.ts';
import { asNew, assertRestorable, idsWithParts, letArchive, listed, removeWal, walsenders } from './support.ts';

let stage: Stage;

/** The cluster, on a repository that goes wrong by plan. */
function onFaulty(...plan: FaultPlan): Stage['cluster'] {
  const { cluster } = stage;
  return withStore(cluster, faulty(cluster.repository.store, plan));
}

/** Nothing is listed, no object is left, and the server is free: as if it had never been tried. */
async function expectNothingLeft(): Promise<void> {
  expect(await listed(stage)).toEqual([]);
  expect(await idsWithParts(stage)).toEqual([]);
  await until(async () => (await walsenders(stage)).length === 0);
}

/** Does something once, as soon as some megabytes were copied. */
function duringCopy(act: () => void): { signal: AbortSignal; progress(details: Progress): void } {
  let acted = false;
  const progress = ({ phase, doneBytes = 0 }: Progress): void => {
    if (acted || phase !== 'copy' || doneBytes < 4_000_000) return;
    acted = true;
    act();
  };
  return { ...quietRun(), progress };
}

const walsenderPid = (): number => {
  const query = `SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'`;
  return Number(
    execFileSync(`${stage.server.bin}/psql`, ['-h', stage.server.socketDir, '-U', 'postgres', '-qAtc', query]),
  );
};

describe.each(alternate(0))('on PostgreSQL %s', (major) => {
  beforeAll(async () => {
    stage = await openStage({ major });
  });
  afterAll(() => stage?.dispose());
  beforeEach(() => asNew(stage));

  test('invariant 1: a backup whose WAL is not all in the repository is not committed', async () => {
    await stage.letShip(false);
    const { id } = await copyBase(stage.cluster, quietRun());
    await expect(commit(stage.cluster, id, quietRun())).rejects.toMatchObject({ code: 'segment-not-archived' });
    await expect(awaitWal(stage.cluster, id, quietRun(), { patienceSeconds: 2 })).rejects.toMatchObject({
      code: 'segment-not-archived',
    });
    expect(await listed(stage)).toEqual([]);

    await stage.letShip(true);
    await awaitWal(stage.cluster, id, quietRun());
    await removeWal(stage);
    await expect(commit(stage.cluster, id, quietRun())).rejects.toMatchObject({ code: 'segment-not-archived' });
    expect(await listed(stage)).toEqual([]);
  });

  test('scenario 12: a part that the store cuts short, empties or loses while it claims success is noticed before the commit', async () => {
    const key = /pgdata\.1\.tar/;
    for (const fault of [
      { kind: 'truncate', bytes: 1000 },
      { kind: 'truncate', bytes: 0 },
      { kind: 'forget' },
    ] as const) {
      const { id } = await copyBase(onFaulty({ on: 'create', key, fault }), quietRun());
      await awaitWal(stage.cluster, id, quietRun());
      await expect(commit(stage.cluster, id, quietRun())).rejects.toMatchObject({ code: 'backup-unverified' });
    }
    expect(await listed(stage)).toEqual([]);
  });

  test('a store that answers that it kept fewer bytes than were sent fails the backup at once', async () => {
    const { cluster } = stage;
    const { store } = cluster.repository;
    const lying = {
      create: async (key: string, body: Parameters<typeof store.create>[1]) => {
        const kept = await store.create(key, body);
        return key.includes('/base/') ? { ...kept, bytes: 1000 } : kept;
      },
      read: store.read.bind(store),
      list: store.list.bind(store),
      remove: store.remove.bind(store),
    };
    const attempt = takeBackup(withStore(cluster, lying), quietRun());
    await expect(attempt).rejects.toMatchObject({ code: 'backup-unverified' });
    await expectNothingLeft();
  });

  test('a store that fails in the middle ends the backup, and leaves nothing', async () => {
    const attempt = takeBackup(onFaulty({ on: 'create', key: /pgdata/, fault: { kind: 'fail' } }), quietRun());
    await expect(attempt).rejects.toMatchObject({ code: 'store-unreachable' });
    await expectNothingLeft();
  });

  test('a store that hangs is given up, and named', async () => {
    const hanging = onFaulty({ on: 'create', key: /pgdata/, fault: { kind: 'hang' } });
    const attempt = copyBase(hanging, quietRun(), { stallSeconds: 3 });
    await expect(attempt).rejects.toMatchObject({ code: 'timeout', facts: { waitedFor: 'repository' } });
    await expectNothingLeft();
  });
});

describe.each(alternate(1))('on PostgreSQL %s', (major) => {
  beforeAll(async () => {
    stage = await openStage({ major });
  });
  afterAll(() => stage?.dispose());
  beforeEach(() => asNew(stage));

  test('a server that falls silent is given up, and named', async () => {
    let pid = 0;
    const run = duringCopy(() => {
      pid = walsenderPid();
      process.kill(pid, 'SIGSTOP');
    });
    const attempt = copyBase(stage.cluster, run, { stallSeconds: 3 });
    await expect(attempt).rejects.toMatchObject({ code: 'timeout', facts: { waitedFor: 'server' } });
    process.kill(pid, 'SIGCONT');
    await expectNothingLeft();
  });

  test('an archiver that takes nothing is given up, and named', async () => {
    await letArchive(stage, false);
    const attempt = copyBase(stage.cluster, quietRun(), { stallSeconds: 3 });
    await expect(attempt).rejects.toMatchObject({ code: 'segment-not-archived', facts: { waitedFor: 'archiver' } });
    await expectNothingLeft();
  });

  test('a backup that is called off ends at once, and leaves nothing', async () => {
    const caller = new AbortController();
    const { progress } = duringCopy(() => caller.abort());
    await expect(takeBackup(stage.cluster, { signal: caller.signal, progress })).rejects.toMatchObject({
      code: 'cancelled',
    });
    await expectNothingLeft();
  });

  test('scenario 7: a server that dies in the middle fails the backup, and the next one is whole', async () => {
    let dead = Promise.resolve();
    const run = duringCopy(() => {
      dead = stage.server.kill9();
    });
    await expect(takeBackup(stage.cluster, run)).rejects.toMatchObject({ permanent: false });
    await dead;
    await stage.server.start();

    const record = await takeBackup(stage.cluster, quietRun());
    expect(await listed(stage)).toEqual([record.id]);
    expect(await idsWithParts(stage)).toEqual([record.id]);
    await assertRestorable(stage, record);
  });

  test('parts of any size are one stream when they are joined', async () => {
    const record = await takeBackup(stage.cluster, quietRun(), { maxPartBytes: 5 * 1024 * 1024 });
    expect(record.tablespaces[0]?.parts.length).toBeGreaterThan(2);
    await assertRestorable(stage, record);
  });
});
