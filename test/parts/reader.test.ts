import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { encodeBytes } from '../../codec/encode.ts';
import { PartReader, Spoiled } from '../../parts/reader.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { noKeys } from '../../repository/keys.ts';
import { associatedData } from '../../repository/layout.ts';
import { Nearest } from '../../repository/nearest.ts';
import type { BackupRecord, StoredPart } from '../../repository/record.ts';
import { initRepository, type Repository } from '../../repository/repository.ts';
import { withRepositories } from '../support/repositories.ts';
import { tempDir } from '../support/temp.ts';

/*
 * Without a cipher nothing but the hash at the end of a part tells that bytes are wrong: they were handed on by then.
 */

const key = 'shop/e/base/id/pgdata.1.tar.zst';
const plain = randomBytes(6_000_000);

let near: Repository;
let far: Repository;
let part: StoredPart;

beforeEach(async () => {
  const make = (name: string) => initRepository(name, { type: 'file', path: join(tempDir(), name) });
  [near, far] = [await make('near'), await make('far')];
  const stored = await encoded(plain);
  await far.store.create(key, stored);
  const sha256 = createHash('sha256').update(stored).digest('hex');
  part = { key, storedBytes: stored.length, plainBytes: plain.length, sha256 };
});

const encoded = (bytes: Uint8Array) => encodeBytes(bytes, { cipher: 'none' }, associatedData(key), {});

function reading() {
  const cluster = { keys: noKeys, ...withRepositories([near, far]) } as ProtectedCluster;
  const record = { keyId: null, codec: { cipher: 'none' }, tablespaces: [] } as unknown as BackupRecord;
  const copies = new Nearest([near, far]);
  const signal = new AbortController().signal;
  const reader = new PartReader(cluster, record, 0, { signal, progress: () => {} }, copies);
  /** Whether the bytes are those that were stored: to show six million others takes a test runner long. */
  const readsAll = async (): Promise<boolean> => (await read()).equals(plain);
  const read = async (): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    await reader.read(part, async (chunk) => void chunks.push(chunk));
    return Buffer.concat(chunks);
  };
  return { readsAll, copies, reader };
}

test('a copy that breaks off is taken up by the next, behind the bytes that were handed on', async () => {
  const stored = await encoded(plain);
  await near.store.create(key, stored.subarray(0, 4_000_000));
  const { readsAll, copies } = reading();
  expect(await readsAll()).toBe(true);
  expect(copies.fallbacks).toMatchObject([{ what: key, missingIn: 'near', takenFrom: 'far' }]);
});

test('a copy that is whole in itself and another content is thrown away with all that was made of it', async () => {
  const other = Buffer.from(plain);
  other[5_000_000]! ^= 1;
  await near.store.create(key, await encoded(other));
  const { readsAll, copies } = reading();
  await expect(readsAll()).rejects.toBeInstanceOf(Spoiled);
  expect(await readsAll()).toBe(true);
  expect(copies.fallbacks).toMatchObject([{ what: key, missingIn: 'near', code: 'object-damaged', takenFrom: 'far' }]);
});

test('a longer copy is noticed, too', async () => {
  await near.store.create(key, await encoded(Buffer.concat([plain, plain])));
  const { readsAll } = reading();
  await expect(readsAll()).rejects.toBeInstanceOf(Spoiled);
  expect(await readsAll()).toBe(true);
});

test('bytes that whoever takes them finds impossible are asked for elsewhere, while there is anywhere', async () => {
  await near.store.create(key, await encoded(plain));
  const { reader } = reading();
  const refuse = () => reader.read(part, () => Promise.reject(new Error('no tar')));
  await expect(refuse()).rejects.toBeInstanceOf(Spoiled);
  await expect(refuse()).rejects.toThrow('no tar');
});
