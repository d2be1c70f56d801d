import { chmodSync, copyFileSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { takeBackup } from '../../backup/backup.ts';
import { recognizedCiphers } from '../../codec/recognize.ts';
import type { PgproofError } from '../../core/errors.ts';
import { formatLsn, lsnPosition } from '../../core/lsn.ts';
import { timelineOf } from '../../core/segment.ts';
import { parseTarget } from '../../core/target.ts';
import { runDrill } from '../../drill/drill.ts';
import { openCluster } from '../../host/cluster.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { readKeyFile } from '../../repository/key-file.ts';
import { rotateKeyFile, writeRecipientFile } from '../../repository/key-rotate.ts';
import { testKeys } from '../../repository/key-test.ts';
import type { KeyRing } from '../../repository/keys.ts';
import type { BackupRecord } from '../../repository/record.ts';
import { planRestore } from '../../restore/plan.ts';
import { startRestore } from '../../restore/start.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { awaitArchived } from '../../wal/await.ts';
import { switchWal } from '../../wal/switch.ts';
import { alternate } from '../support/postgres.ts';
import { withStore } from '../support/repositories.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage, startWorker, type WorkerProcess } from '../support/stage.ts';
import { storeWith } from '../support/store-with.ts';
import { tempDir } from '../support/temp.ts';
import { ask } from './support.ts';

/** A cluster as this host opens it now: with the key file as it is now. */
const openedNow = (stage: Stage): Promise<ProtectedCluster> => openCluster(stage.host, 'shop');

/** Ends the segment, and waits until the worker has it in the repository. */
async function archived({ cluster }: Stage): Promise<void> {
  const { segment, lsn } = await switchWal(cluster, {});
  const start = formatLsn(lsnPosition(lsn) - 1n);
  const deadline = new Date(Date.now() + 60_000);
  await awaitArchived(cluster, { timeline: timelineOf(segment), start, end: lsn }, quietRun(), deadline);
}

async function restored(cluster: ProtectedCluster, bin: string, backup?: string): Promise<number[]> {
  const into = join(tempDir(), 'data');
  const request = { target: parseTarget('latest'), into, ...(backup === undefined ? {} : { backup }) };
  const plan = await planRestore(cluster, request, quietRun());
  await startRestore(cluster, plan.id, quietRun());
  return (await ask<{ n: number }>(bin, into, 'SELECT n FROM orders ORDER BY n')).map(({ n }) => n);
}

const refusal = (work: Promise<unknown>): Promise<PgproofError> =>
  work.then(
    () => expect.unreachable('it was done'),
    (error: PgproofError) => error,
  );

describe.each(alternate(0))('a cluster of PostgreSQL %s whose key is rotated while its worker runs', (major) => {
  let stage: Stage;
  let worker: WorkerProcess;
  let keyFile: string;
  const copies = { before: '', whole: '' };
  const backups: BackupRecord[] = [];

  const insert = (n: number) => stage.server.sql('INSERT INTO orders VALUES ($1)', [n]);
  const backUp = async () => backups.push(await takeBackup(await openedNow(stage), quietRun()));
  const keep = (name: string): string => {
    const copy = join(stage.folder, name);
    copyFileSync(keyFile, copy);
    chmodSync(copy, 0o600);
    return copy;
  };
  /** This host with another key file in its place. */
  const openedWith = async (file: string): Promise<ProtectedCluster> => {
    const keys: KeyRing = await readKeyFile(file);
    return { ...stage.cluster, keys, walKeys: keys };
  };

  beforeAll(async () => {
    stage = await openStage({ major, ports: { port: 1, uiPort: 2 } });
    keyFile = join(stage.folder, 'main.key');
    worker = await startWorker(stage, false);
    await stage.server.sql('CREATE TABLE orders (n int)');
    await insert(1);
    await backUp();
    await insert(2);
    await archived(stage);
    copies.before = keep('before.key');

    await rotateKeyFile(keyFile, 'chacha20-poly1305');
    await insert(3);
    await backUp();
    await insert(4);
    await archived(stage);

    await rotateKeyFile(keyFile, 'aes-256-cbc');
    await insert(5);
    await archived(stage);
    await rotateKeyFile(keyFile, 'chacha20-poly1305');
    copies.whole = keep('whole.key');

    // From here on the host has nothing that reads.
    const copy = join(stage.folder, 'write-only.key');
    await writeRecipientFile(keyFile, copy);
    renameSync(copy, keyFile);
    await insert(6);
    await backUp();
    await insert(7);
    await archived(stage);
  });
  afterAll(async () => {
    await worker?.stop();
    await stage?.dispose();
  });

  test('writes every backup and every segment with the newest set, without a restart', async () => {
    expect(backups.map(({ codec }) => codec.cipher)).toEqual(['aes-256-gcm', 'chacha20-poly1305', 'chacha20-poly1305']);
    expect(new Set(backups.map(({ keyId }) => keyId)).size).toBe(3);
    const { store } = stage.cluster.repository;
    const ciphers = new Set<string>();
    for await (const { key } of store.list('shop/')) {
      if (!key.includes('/wal/')) continue;
      const [first] = recognizedCiphers(readFileSync(join(stage.cluster.repository.location, key)).subarray(0, 64));
      ciphers.add(first as string);
    }
    expect(ciphers).toEqual(new Set(['aes-256-gcm', 'chacha20-poly1305', 'aes-256-cbc']));
    expect(readFileSync(worker.logFile, 'utf8')).not.toContain('WAL alarm');
  });

  test('scenario 28: is restored from before all rotations to after them, with the whole key file', async () => {
    const cluster = await openedWith(copies.whole);
    expect(await restored(cluster, stage.server.bin, backups[0]?.id)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test('scenario 28: is restored from what a write-only host backed up', async () => {
    const cluster = await openedWith(copies.whole);
    expect(await restored(cluster, stage.server.bin)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test('scenario 28: a key file from before a rotation is told which key it lacks, before anything is downloaded', async () => {
    const reads: string[] = [];
    const cluster = await openedWith(copies.before);
    const counting = withStore(cluster, countingReads(cluster.repository.store, reads));
    const error = await refusal(restored(counting, stage.server.bin));
    expect(error).toMatchObject({ code: 'key-missing', facts: { keyId: backups[1]?.keyId } });
    expect(reads.filter((key) => /\/(base|wal)\//.test(key))).toEqual([]);
  });

  test('on a write-only host lists and checks signatures; restore and drill say that it cannot read, and read nothing', async () => {
    const reads: string[] = [];
    const cluster = await openedNow(stage);
    const counting = withStore(cluster, countingReads(cluster.repository.store, reads));
    const entries = await listBackups(counting.repository, counting.keys, 'shop');
    expect(entries.map(({ state }) => state)).toEqual(['whole', 'whole', 'whole']);
    reads.length = 0;
    const work = [() => restored(counting, stage.server.bin), () => runDrill(counting, { kind: 'probe' }, quietRun())];
    for (const begin of work) {
      expect(await refusal(begin())).toMatchObject({ code: 'key-write-only', facts: { keyId: backups[2]?.keyId } });
    }
    expect(reads).toEqual([]);
  });

  test('key test names the set that opens each backup and the newest WAL of each set, and what is closed to whom', async () => {
    const test = async (file: string) => {
      const tests = await testKeys(stage.cluster.repository, await openedWith(file), 'shop');
      return tests.map(({ what, keyId, error }) => [what.split(' ')[0], error?.code ?? keyId]);
    };
    const sets = (await readKeyFile(copies.whole)).all.map(({ id }) => id);
    const [newest, cbc, chacha, gcm] = sets;
    const whole = await test(copies.whole);
    expect(whole.slice(0, 3)).toEqual([
      ['backup', gcm],
      ['backup', chacha],
      ['backup', newest],
    ]);
    expect(whole.slice(3)).toEqual([
      ['WAL', newest],
      ['WAL', cbc],
      ['WAL', chacha],
      ['WAL', gcm],
    ]);
    expect(await test(copies.before)).toEqual([
      ['backup', gcm],
      ['backup', 'key-missing'],
      ['backup', 'key-missing'],
      ['WAL', 'key-missing'],
      ['WAL', gcm],
    ]);
    expect((await test(keyFile)).map(([, answer]) => answer)).toEqual(Array(4).fill('key-write-only'));
  });
});

describe.each(alternate(1))('a cluster of PostgreSQL %s whose WAL has a key of its own', (major) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage({ major, walKey: true });
    await stage.server.sql('CREATE TABLE orders AS SELECT 1 AS n');
    await takeBackup(stage.cluster, quietRun());
  });
  afterAll(() => stage?.dispose());

  test('is restored with both; with one of them, the other is named before anything is downloaded', async () => {
    const { cluster, server } = stage;
    expect(cluster.walKeys.current?.id).not.toBe(cluster.keys.current?.id);
    expect(await restored(cluster, server.bin)).toEqual([1]);
    const reads: string[] = [];
    const counting = withStore(cluster, countingReads(cluster.repository.store, reads));
    for (const [ring, needed] of [
      [cluster.keys, cluster.walKeys],
      [cluster.walKeys, cluster.keys],
    ] as const) {
      const error = await refusal(restored({ ...counting, keys: ring, walKeys: ring }, server.bin));
      expect(error).toMatchObject({ code: 'key-wrong', facts: { keyId: needed.current?.id } });
    }
    expect(reads.filter((key) => /\/(base|wal)\//.test(key))).toEqual([]);
  });

  test('shows neither of the two to who has the other', async () => {
    const { repository, keys, walKeys } = stage.cluster;
    const opened = async (ring: KeyRing) => {
      const tests = await testKeys(repository, { keys: ring, walKeys: ring }, 'shop');
      return tests.map(({ what, error }) => [what.split(' ')[0], error === null]);
    };
    expect(await opened(keys)).toEqual([
      ['backup', true],
      ['WAL', false],
    ]);
    expect(await opened(walKeys)).toEqual([
      ['backup', false],
      ['WAL', true],
    ]);
  });
});

function countingReads(store: ObjectStore, reads: string[]): ObjectStore {
  return storeWith(store, {
    read: (key, options) => {
      reads.push(key);
      return store.read(key, options);
    },
  });
}
