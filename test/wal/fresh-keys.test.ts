import { copyFileSync, renameSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { PgproofError } from '../../core/errors.ts';
import { generateKeyFile, readKeyFile } from '../../repository/key-file.ts';
import { rotateKeyFile } from '../../repository/key-rotate.ts';
import { testKeys } from '../../repository/key-test.ts';
import { runShipper } from '../../wal/shipper.ts';
import { tempDir } from '../support/temp.ts';
import { type Archive, openArchive, seg, segmentOf } from './support.ts';

/** Runs while `use` does; answers the alarms that were raised. */
async function whileShipping(archive: Archive, use: (alarms: PgproofError[]) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const alarms: PgproofError[] = [];
  const onAlarm = (alarm: PgproofError) => void alarms.push(alarm);
  const running = runShipper(archive.cluster, { signal: stop.signal, intervalMs: 20, onAlarm });
  try {
    await use(alarms);
  } finally {
    stop.abort();
    await running;
  }
}

async function ship(archive: Archive, number: number): Promise<void> {
  archive.publish(seg(number), segmentOf(seg(number)));
  await expect.poll(() => archive.waiting()).toEqual([]);
}

/** By which set the newest segment was sealed. */
async function newestSealedBy({ cluster }: Archive, keyFile: string): Promise<string | null | undefined> {
  const keys = await readKeyFile(keyFile);
  return (await testKeys(cluster.repository, { keys, walKeys: keys }, cluster.name))[0]?.keyId;
}

test('a shipper that runs seals the next segment with the newest set of its key file', async () => {
  const folder = tempDir();
  const keyFile = join(folder, 'main.key');
  const archive = await openArchive(folder, { key: true });
  await whileShipping(archive, async (alarms) => {
    for (const [number, cipher] of [
      [1, 'chacha20-poly1305'],
      [2, 'aes-192-cbc'],
      [3, 'aes-256-gcm'],
    ] as const) {
      const { keyId } = await rotateKeyFile(keyFile, cipher);
      await ship(archive, number);
      expect(await newestSealedBy(archive, keyFile)).toBe(keyId);
    }
    expect(alarms.filter(({ code }) => code.startsWith('key-'))).toEqual([]);
  });
});

test('a key file that was lost, or swapped for one that is no rotation of it, alarms; WAL goes on under the key at hand', async () => {
  const folder = tempDir();
  const keyFile = join(folder, 'main.key');
  const kept = join(folder, 'kept.key');
  const archive = await openArchive(folder, { key: true });
  copyFileSync(keyFile, kept);
  const current = (await readKeyFile(kept)).current?.id;
  await whileShipping(archive, async (alarms) => {
    const codes = () => alarms.map(({ code }) => code);
    unlinkSync(keyFile);
    await expect.poll(codes).toContain('key-file-missing');
    await ship(archive, 1);
    expect(await newestSealedBy(archive, kept)).toBe(current);

    const { path } = await generateKeyFile(join(folder, 'other.key'));
    renameSync(path, keyFile);
    await expect.poll(codes).toContain('key-wrong');
    await ship(archive, 2);
    expect(await newestSealedBy(archive, kept)).toBe(current);
  });
});
