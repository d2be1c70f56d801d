import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { encodeBytes } from '../../codec/encode.ts';
import { ciphers, suffixOf } from '../../codec/sealing.ts';
import { PgproofError } from '../../core/errors.ts';
import { parseSegmentName } from '../../core/segment.ts';
import { readKeyFile } from '../../repository/key-file.ts';
import { rotateKeyFile, writeRecipientFile } from '../../repository/key-rotate.ts';
import { type KeyRing, keyRing, noKeys, sealingFor } from '../../repository/keys.ts';
import { associatedData, walKey } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import { tagOf } from '../../repository/tag.ts';
import { discardSegment, listHistories, listWal, putHistory, putSegment, readSegment } from '../../repository/wal.ts';
import { faulty } from '../../storage/fault.ts';
import { noise, sample } from '../codec/support.ts';
import { tempDir } from '../support/temp.ts';
import { bytesOf, cluster, era, keysUnder, newKeyFile, newKeys, newRepository } from './support.ts';

const one = parseSegmentName('000000010000000000000001');
const two = parseSegmentName('000000010000000000000002');
const plain = sample(1 << 20);

let repository: Repository;
beforeEach(async () => {
  repository = await newRepository();
});

const put = (keys: KeyRing, name = one, bytes: Uint8Array = plain) =>
  putSegment(repository, keys, cluster, era, name, bytes);
const read = (keys: KeyRing, tag: string, name = one) => readSegment(repository, keys, cluster, era, name, tag);

/** How many there are: where a test fails, the bytes themselves take long to be shown. */
const readLength = async (...which: Parameters<typeof read>): Promise<number> => (await read(...which)).length;

describe.each([
  ['not encrypted', async () => noKeys] as const,
  ...ciphers.map((cipher) => [cipher, () => newKeys(cipher)] as const),
])('a WAL segment, %s,', (_, makeKeys) => {
  let keys: KeyRing;
  let fileOf: (tag: string, name?: typeof one) => string;
  beforeEach(async () => {
    keys = await makeKeys();
    const suffix = suffixOf(sealingFor(keys));
    fileOf = (tag, name = one) => join(repository.location, walKey(cluster, era, name, tag, suffix));
  });

  test('is read as it was put, and putting it again finds it there', async () => {
    const { tag, storedBytes, existed } = await put(keys);
    expect(existed).toBe(false);
    expect(storedBytes).toBe(readFileSync(fileOf(tag)).length);
    expect(await put(keys)).toMatchObject({ tag, existed: true });
    expect(Buffer.compare(await read(keys, tag), plain)).toBe(0);
  });

  test('scenario 3: pushed again after its answer was lost, is a success', async () => {
    const store = faulty(repository.store, [{ on: 'create', fault: { kind: 'lose-answer' }, times: 1 }]);
    const lost = putSegment({ ...repository, store }, keys, cluster, era, one, plain);
    await expect(lost).rejects.toMatchObject({ code: 'store-unreachable' });
    expect(await putSegment({ ...repository, store }, keys, cluster, era, one, plain)).toMatchObject({ existed: true });
  });

  test('scenario 20: with other content is stored beside it: two tags are the conflict', async () => {
    const first = await put(keys);
    const second = await put(keys, one, noise(1 << 20));
    expect(second.existed).toBe(false);
    expect((await listWal(repository, cluster, era)).get(one)?.sort()).toEqual([first.tag, second.tag].sort());
    await discardSegment([repository], cluster, era, one, second.tag);
    expect(await listWal(repository, cluster, era)).toEqual(new Map([[one, [first.tag]]]));
    const last = discardSegment([repository], cluster, era, one, first.tag);
    await expect(last).rejects.toMatchObject({ code: 'wal-conflict' });
  });

  test('scenario 12: damaged in the store, is never answered, and replaced when its source comes again', async () => {
    const { tag } = await put(keys);
    const stored = readFileSync(fileOf(tag));
    const damages = {
      flipped: Buffer.from(stored).fill(stored[100]! ^ 1, 100, 101),
      truncated: stored.subarray(0, -1),
      empty: Buffer.alloc(0),
      longer: Buffer.concat([stored, stored]),
    };
    for (const [what, damage] of Object.entries(damages)) {
      writeFileSync(fileOf(tag), damage);
      await expect(readLength(keys, tag), what).rejects.toMatchObject({ code: 'object-damaged', facts: { name: one } });
      expect(await put(keys), what).toMatchObject({ existed: false });
      expect(Buffer.compare(await read(keys, tag), plain), what).toBe(0);
    }
  });

  test('under the name of another, is not answered', async () => {
    const [a, b] = [await put(keys), await put(keys, two, noise(1 << 20))];
    writeFileSync(fileOf(a.tag), readFileSync(fileOf(b.tag, two)));
    await expect(readLength(keys, a.tag)).rejects.toMatchObject({ code: 'object-damaged' });
  });

  test('whose content does not fit its tag, is not answered: the tag is checked for every cipher', async () => {
    const { tag } = await put(keys);
    const wrong = tag.replace(/^./, tag.startsWith('0') ? '1' : '0');
    // Sealed for this very name by who has the key, with a tag that is not its own.
    const key = walKey(cluster, era, one, wrong, suffixOf(sealingFor(keys)));
    await repository.store.create(key, await encodeBytes(plain, sealingFor(keys), associatedData(key)));
    await expect(readLength(keys, wrong)).rejects.toMatchObject({
      code: 'object-damaged',
      message: expect.stringContaining('tag'),
    });
  });
});

test.each(ciphers)(
  'a rotation from %s to every other cipher changes no tag: what the older sets sealed is read and found',
  async (cipher) => {
    const file = await newKeyFile(cipher);
    const old = await readKeyFile(file);
    const { tag } = await put(old);
    for (const next of ciphers) await rotateKeyFile(file, next);
    const rotated = await readKeyFile(file);
    expect(rotated.all.map((set) => set.cipher)).toEqual([...ciphers.toReversed(), cipher]);
    expect(Buffer.compare(await read(rotated, tag), plain)).toBe(0);
    expect(await put(rotated)).toMatchObject({ tag, existed: true });
  },
);

test('WAL that is newer than the keys in memory is read with the key file as it is now', async () => {
  const file = await newKeyFile();
  const before = await readKeyFile(file);
  await rotateKeyFile(file, 'chacha20-poly1305');
  const { tag } = await put(await readKeyFile(file));
  expect(Buffer.compare(await read(before, tag), plain)).toBe(0);
  unlinkSync(file);
  await expect(readLength(before, tag)).rejects.toMatchObject({ code: 'key-missing' });
});

test('scenario 28: WAL that no key set at hand can open is named with its cipher, not called damaged', async () => {
  const keys = await newKeys('chacha20-poly1305');
  const { tag } = await put(keys);
  const other = { ...(await newKeys()).current!, identityKey: keys.identityKey! };
  await expect(readLength(keyRing([other]), tag)).rejects.toMatchObject({
    code: 'key-missing',
    message: expect.stringContaining('chacha20-poly1305'),
  });
  await expect(readSegment(repository, noKeys, cluster, era, one, tag)).rejects.toMatchObject({ code: 'key-missing' });
});

describe('a host that only writes', () => {
  let whole: KeyRing;
  let writing: KeyRing;
  beforeEach(async () => {
    const file = await newKeyFile('chacha20-poly1305');
    const copy = join(tempDir('keys'), 'write.key');
    await writeRecipientFile(file, copy);
    whole = await readKeyFile(file);
    writing = await readKeyFile(copy);
  });

  test('archives what the whole key reads, under the same tag, and cannot read it itself', async () => {
    const { tag } = await put(writing);
    expect(Buffer.compare(await read(whole, tag), plain)).toBe(0);
    await expect(readLength(writing, tag)).rejects.toMatchObject({ code: 'key-write-only' });
  });

  test('stores a segment anew that it finds there, because it cannot look whether it is whole', async () => {
    const { tag } = await put(writing);
    const path = join(repository.location, walKey(cluster, era, one, tag, '.zst.enc'));
    writeFileSync(path, 'damaged');
    expect(await put(writing)).toMatchObject({ existed: false });
    expect(Buffer.compare(await read(whole, tag), plain)).toBe(0);
  });

  test('takes one that the store retains for whole, rather than keep it in the spool for years', async () => {
    await put(writing);
    const { store } = repository;
    const locked: Repository['store'] = {
      create: (...args) => store.create(...args),
      read: (...args) => store.read(...args),
      list: (...args) => store.list(...args),
      remove: async () => {
        throw new PgproofError('object-retained', 'it is locked');
      },
    };
    const again = (keys: KeyRing) => putSegment({ ...repository, store: locked }, keys, cluster, era, one, plain);
    expect(await again(writing)).toMatchObject({ existed: true });
    for (const key of await keysUnder(repository, `${cluster}/`))
      writeFileSync(join(repository.location, key), 'damaged');
    await expect(again(whole)).rejects.toMatchObject({ code: 'object-retained' });
  });
});

test('a tag tells cluster, era, name and content apart, and shows nothing of the content without the key', async () => {
  const keys = await newKeys();
  const tags = [
    tagOf(keys, 'a', 'b', 'c', plain),
    tagOf(keys, 'ab', '', 'c', plain),
    tagOf(keys, 'a', 'bc', '', plain),
    tagOf(keys, 'a', 'b', 'c', plain.subarray(1)),
    tagOf(await newKeys(), 'a', 'b', 'c', plain),
  ];
  expect(new Set(tags).size).toBe(5);
  for (const tag of tags) expect(tag).toMatch(/^[0-9a-f]{32}$/);
});

test('a history file adopts its timeline; a second one of the same timeline is a conflict', async () => {
  const keys = await newKeys();
  const text = '1\t0/3000000\tno recovery target specified\n';
  await putHistory(repository, keys, cluster, era, 2, bytesOf(text));
  await putHistory(repository, keys, cluster, era, 2, bytesOf(text));
  const histories = await listHistories(repository, keys, cluster, era);
  expect(histories.get(2)).toMatchObject({ text, entries: [{ timeline: 1, switchLsn: '0/3000000' }] });
  await expect(listHistories(repository, await newKeys(), cluster, era)).rejects.toMatchObject({
    code: 'object-damaged',
  });
  await putHistory(repository, keys, cluster, era, 2, bytesOf('1\t0/4000000\tsomebody else\n'));
  await expect(listHistories(repository, keys, cluster, era)).rejects.toMatchObject({ code: 'wal-conflict' });
});

test('a store that takes fewer bytes and says so is not believed', async () => {
  const store = {
    ...faulty(repository.store, []),
    create: async () => ({ bytes: 1, sha256: '0'.repeat(64) }),
  } as unknown as Repository['store'];
  const putting = putSegment({ ...repository, store }, noKeys, cluster, era, one, plain);
  await expect(putting).rejects.toMatchObject({ code: 'object-damaged' });
});
