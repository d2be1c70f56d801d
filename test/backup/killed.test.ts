import { execFileSync } from 'node:child_process';
import { readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { awaitWal, commit, copyBase, takeBackup } from '../../backup/backup.ts';
import { findPending, type PendingBackup, savePending } from '../../backup/pending.ts';
import { hasCode } from '../../core/errors.ts';
import type { Progress } from '../../core/run.ts';
import type { BackupRecord } from '../../repository/record.ts';
import { alternate } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage, until } from '../support/stage.ts';
import {
  asNew,
  assertRestorable,
  idsWithParts,
  letArchive,
  listed,
  startBackupProcess,
  walsenders,
} from './support.ts';

let stage: Stage;

/** As if nobody had touched it for three days. */
function age(id: string): void {
  const longAgo = Date.now() / 1000 - 3 * 86_400;
  utimesSync(join(stage.cluster.paths.backups, `${id}.json`), longAgo, longAgo);
}

describe.each(alternate(0))('on PostgreSQL %s', (major) => {
  beforeAll(async () => {
    stage = await openStage({ major });
  });
  afterAll(() => stage?.dispose());
  beforeEach(() => asNew(stage));

  test('scenario 1: killed while it copies, a backup leaves nothing listed and the server free, and the retry finishes', async () => {
    const killed = await startBackupProcess(stage, 'copying');
    expect(await walsenders(stage)).toHaveLength(1);
    await killed.kill9();
    await until(async () => (await walsenders(stage)).length === 0);
    expect(await stage.server.sql('SELECT * FROM pg_replication_slots')).toEqual([]);
    expect(await stage.server.sql('SELECT * FROM pg_stat_progress_basebackup')).toEqual([]);
    expect(await listed(stage)).toEqual([]);

    const record = await takeBackup(stage.cluster, quietRun());
    expect(await listed(stage)).toEqual([record.id]);
    expect(await idsWithParts(stage)).toEqual([record.id]);
    await assertRestorable(stage, record);
  });

  test('scenario 2: killed between the last object and the commit file, a backup is not trusted, and its next step converges', async () => {
    const killed = await startBackupProcess(stage, 'committing');
    await killed.kill9();
    expect(await listed(stage)).toEqual([]);
    const [id] = (await idsWithParts(stage)) as [string];

    await awaitWal(stage.cluster, id, quietRun());
    const record = await commit(stage.cluster, id, quietRun());
    expect(await commit(stage.cluster, id, quietRun())).toEqual(record);
    expect(await listed(stage)).toEqual([id]);
    expect(readdirSync(stage.cluster.paths.backups)).toEqual([]);
    await assertRestorable(stage, record);
  });

  test('scenario 2: what nobody commits is reaped by the next backup once it is given up', async () => {
    const killed = await startBackupProcess(stage, 'committing');
    await killed.kill9();
    const [id] = (await idsWithParts(stage)) as [string];
    age(id);

    const record = await takeBackup(stage.cluster, quietRun());
    expect(await listed(stage)).toEqual([record.id]);
    expect(await idsWithParts(stage)).toEqual([record.id]);
    expect(readdirSync(stage.cluster.paths.backups)).toEqual([]);
  });
});

describe.each(alternate(1))('on PostgreSQL %s', (major) => {
  beforeAll(async () => {
    stage = await openStage({ major });
  });
  afterAll(() => stage?.dispose());
  beforeEach(() => asNew(stage));

  test('scenario 1: killed while PostgreSQL waits for its archiver, a backup leaves a walsender that the retry ends', async () => {
    await letArchive(stage, false);
    const killed = await startBackupProcess(stage, 'nowhere');
    await until(async () => (await phases()).includes('waiting for wal archiving to finish'));
    await killed.kill9();

    const inVain = copyBase(stage.cluster, quietRun(), { stallSeconds: 3 });
    await expect(inVain).rejects.toMatchObject({ code: 'segment-not-archived' });
    await until(async () => (await walsenders(stage)).length === 0);

    await letArchive(stage, true);
    const record = await takeBackup(stage.cluster, quietRun());
    expect(await listed(stage)).toEqual([record.id]);
  });

  async function phases(): Promise<string[]> {
    const rows = await stage.server.sql<{ phase: string }>('SELECT phase FROM pg_stat_progress_basebackup');
    return rows.map(({ phase }) => phase);
  }

  test('scenario 5: two attempts of which each commits are two whole backups', async () => {
    const first = await copyBase(stage.cluster, quietRun());
    const second = await takeBackup(stage.cluster, quietRun());
    await awaitWal(stage.cluster, first.id, quietRun());
    const record = await commit(stage.cluster, first.id, quietRun());
    expect((await listed(stage)).toSorted()).toEqual([first.id, second.id].toSorted());
    await assertRestorable(stage, record);
    await assertRestorable(stage, second);
  });

  test('scenario 5: an attempt that was given up cannot commit any more, and takes nothing from its replacement', async () => {
    const zombie = await copyBase(stage.cluster, quietRun());
    age(zombie.id);
    // It had read its record before it was given up.
    const pending = await findPendingOf(zombie.id);
    const replacement = await takeBackup(stage.cluster, quietRun());
    await savePending(stage.cluster, pending);

    await expect(commit(stage.cluster, zombie.id, quietRun())).rejects.toMatchObject({
      code: expect.stringMatching(/^backup-(deleted|unverified)$/),
    });
    expect(await listed(stage)).toEqual([replacement.id]);
    await assertRestorable(stage, replacement);
  });

  async function findPendingOf(id: string): Promise<PendingBackup> {
    return (await findPending(stage.cluster, id)) as PendingBackup;
  }

  test('scenario 5: an attempt that loses its lock stops, and harms nothing of the one that has it now', async () => {
    let replacement: Promise<BackupRecord> | undefined;
    const progress = ({ phase, doneBytes = 0 }: Progress): void => {
      if (replacement !== undefined || phase !== 'copy' || doneBytes < 4_000_000) return;
      endLockSession();
      replacement = takeBackupOnceFree();
    };
    await expect(copyBase(stage.cluster, { ...quietRun(), progress })).rejects.toMatchObject({
      code: 'server-unreachable',
    });
    const record = (await replacement) as BackupRecord;
    expect(await listed(stage)).toEqual([record.id]);
    await assertRestorable(stage, record);
  });

  /** The attempt that ended may have the lock once more, to clean up. */
  async function takeBackupOnceFree(): Promise<BackupRecord> {
    for (;;) {
      try {
        return await takeBackup(stage.cluster, quietRun());
      } catch (error) {
        if (!hasCode(error, 'cluster-busy')) throw error;
      }
    }
  }

  function endLockSession(): void {
    execFileSync(join(stage.server.bin, 'psql'), [
      ...['-h', stage.server.socketDir, '-U', 'postgres', '-qAtc'],
      `SELECT pg_terminate_backend(pid, 60000) FROM pg_locks WHERE locktype = 'advisory'`, // and waits until it is gone
    ]);
  }
});
