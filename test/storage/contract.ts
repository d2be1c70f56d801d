import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import type { ObjectStore, StoredObject } from '../../storage/store.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);

/** Chunks of many sizes, none of which divides a piece. */
function* inChunks(body: Uint8Array): Generator<Uint8Array> {
  for (let at = 0, size = 1; at < body.length; at += size, size = (size * 7) % 262_139)
    yield body.subarray(at, at + size);
}

async function keysIn(store: ObjectStore, prefix = ''): Promise<string[]> {
  return (await objectsIn(store, prefix)).map(({ key }) => key);
}

async function objectsIn(store: ObjectStore, prefix: string): Promise<StoredObject[]> {
  const objects: StoredObject[] = [];
  for await (const object of store.list(prefix)) objects.push(object);
  return objects;
}

export type Traits = {
  /** False for a store that has no conditional put: of two creators the later one may win. @defaultValue true */
  conditional?: boolean;
  /** More than three pieces of the store, where it cuts objects into pieces. @defaultValue 3 MB */
  largeBytes?: number;
  /** How many keys a listing shall have: more than two pages of the store's. @defaultValue 2100 */
  manyKeys?: number;
  /** Keys of uploads that were begun below the store's prefix and neither completed nor aborted. */
  unfinished?: (store: ObjectStore) => Promise<string[]>;
};

/**
 * What every store must do: the file store, buckets, and each decorated form of them. `open` gives a new empty one per test;
 * another prefix of the same bucket is one.
 */
export function describeObjectStore(
  name: string,
  open: () => ObjectStore | Promise<ObjectStore>,
  { conditional = true, largeBytes = 3_000_000, manyKeys = 2100, unfinished = async () => [] }: Traits = {},
): void {
  describe(`${name} object store`, () => {
    test('gives back what was created, and answers its size and SHA-256', async () => {
      const store = await open();
      const body = randomBytes(largeBytes);
      const sha256 = createHash('sha256').update(body).digest('hex');
      expect(await store.create('a/b.bin', body)).toEqual({ bytes: body.length, sha256 });
      expect(await store.create('a/c.bin', Readable.from([body.subarray(0, 5), body.subarray(5)]))).toEqual({
        bytes: body.length,
        sha256,
      });
      expect((await buffer(await store.read('a/b.bin'))).equals(body)).toBe(true);
      expect((await buffer(await store.read('a/c.bin'))).equals(body)).toBe(true);
    });

    test('holds an empty object', async () => {
      const store = await open();
      await store.create('empty', new Uint8Array());
      expect((await buffer(await store.read('empty'))).length).toBe(0);
      expect(await objectsIn(store, '')).toEqual([{ key: 'empty', bytes: 0 }]);
    });

    if (conditional)
      test('refuses to overwrite an object, even with the same bytes', async () => {
        const store = await open();
        await store.create('once', bytesOf('first'));
        for (const text of ['first', 'second']) {
          await expect(store.create('once', bytesOf(text))).rejects.toMatchObject({ code: 'object-exists' });
        }
        expect(await buffer(await store.read('once'))).toEqual(Buffer.from('first'));
      });

    if (conditional)
      test('lets exactly one of many win who create the same key at once', async () => {
        const store = await open();
        const attempts = await Promise.allSettled(
          Array.from({ length: 20 }, (_, index) => store.create('raced', bytesOf(`attempt ${index}`))),
        );
        expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        const winner = attempts.findIndex(({ status }) => status === 'fulfilled');
        expect(await buffer(await store.read('raced'))).toEqual(Buffer.from(`attempt ${winner}`));
      });

    if (conditional)
      test('lets one of two win who create the same large object at once, and keeps it whole', async () => {
        const store = await open();
        const bodies = [randomBytes(largeBytes), randomBytes(largeBytes)];
        const attempts = await Promise.allSettled(
          bodies.map((body) => store.create('raced', Readable.from(inChunks(body)))),
        );
        expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        const winner = attempts.findIndex(({ status }) => status === 'fulfilled');
        const [loss] = attempts.filter((attempt) => attempt.status === 'rejected');
        expect(loss?.reason).toMatchObject({ code: 'object-exists', permanent: true });
        expect((await buffer(await store.read('raced'))).equals(bodies[winner] as Buffer)).toBe(true);
        expect(await unfinished(store)).toEqual([]);
      });

    if (!conditional)
      test('keeps an object whole that many create at once: one of them, and not a mixture', async () => {
        const store = await open();
        const bodies = Array.from({ length: 5 }, () => randomBytes(100_000));
        await Promise.allSettled(bodies.map((body) => store.create('raced', body)));
        const kept = await buffer(await store.read('raced'));
        expect(bodies.filter((body) => kept.equals(body))).toHaveLength(1);
      });

    test('holds a large object that comes in chunks of any size, and reads it in any ranges', async () => {
      const store = await open();
      const body = randomBytes(largeBytes);
      const created = await store.create('large', Readable.from(inChunks(body)));
      expect(created).toEqual({ bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') });
      expect(await objectsIn(store, '')).toEqual([{ key: 'large', bytes: body.length }]);
      const read = async (offset: number, length: number) =>
        (await buffer(await store.read('large', { range: { offset, length } }))).equals(
          body.subarray(offset, offset + length),
        );
      const half = Math.floor(largeBytes / 2);
      const ranges = [
        [0, 1],
        [half - 1000, half],
        [largeBytes - 1, 1],
        [1, largeBytes - 1],
      ] as const;
      for (const [offset, length] of ranges) expect(await read(offset, length), `${offset}+${length}`).toBe(true);
    });

    test('gives whole objects to many who read at once', async () => {
      const store = await open();
      const body = randomBytes(200_000);
      await store.create('shared', body);
      const all = await Promise.all(Array.from({ length: 12 }, async () => buffer(await store.read('shared'))));
      expect(all.every((each) => each.equals(body))).toBe(true);
    });

    test('keeps nothing of a large object whose source breaks, or that is given up, half way', async () => {
      const store = await open();
      async function* breaking() {
        yield* inChunks(randomBytes(Math.floor(largeBytes * 0.8)));
        throw new Error('the source broke');
      }
      await expect(store.create('broken', Readable.from(breaking()))).rejects.toThrow('the source broke');
      const abort = new AbortController();
      async function* stuck() {
        yield* inChunks(randomBytes(Math.floor(largeBytes * 0.8)));
        abort.abort();
        await new Promise(() => {});
      }
      const given = store.create('given-up', Readable.from(stuck()), { signal: abort.signal });
      await expect(given).rejects.toMatchObject({ code: 'cancelled' });
      expect(await keysIn(store)).toEqual([]);
      expect(await unfinished(store)).toEqual([]);
    });

    test('ends a read in its midst when told to', async () => {
      const store = await open();
      await store.create('large', randomBytes(largeBytes));
      const abort = new AbortController();
      const stream = await store.read('large', { signal: abort.signal });
      const reading = (async () => {
        for await (const _ of stream) abort.abort();
      })();
      await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
    });

    test('never lists an object whose upload was cut off', async () => {
      const store = await open();
      async function* cut() {
        yield randomBytes(1000);
        throw new Error('the source broke');
      }
      await expect(store.create('cut', Readable.from(cut()))).rejects.toThrow('the source broke');
      const destroyed = new Readable({ read() {} });
      destroyed.push(randomBytes(1000));
      const creating = store.create('destroyed', destroyed);
      destroyed.destroy();
      await expect(creating).rejects.toThrow();
      expect(await keysIn(store)).toEqual([]);
      await expect(store.read('cut')).rejects.toMatchObject({ code: 'object-missing' });
    });

    test('ends a create that waits for a body which never comes, when told to, and publishes nothing', async () => {
      const store = await open();
      const abort = new AbortController();
      const body = new Readable({ read() {} });
      body.push('something');
      const creating = store.create('stuck', body, { signal: abort.signal });
      abort.abort();
      await expect(creating).rejects.toMatchObject({ code: 'cancelled' });
      expect(body.destroyed).toBe(true);
      expect(await keysIn(store)).toEqual([]);
    });

    test('refuses everything under a signal that is aborted already', async () => {
      const store = await open();
      await store.create('here', bytesOf('x'));
      const signal = AbortSignal.abort();
      await expect(store.create('other', bytesOf('x'), { signal })).rejects.toMatchObject({ code: 'cancelled' });
      await expect(store.read('here', { signal })).rejects.toMatchObject({ code: 'cancelled' });
      await expect(store.remove('here', { signal })).rejects.toMatchObject({ code: 'cancelled' });
      const listing = store.list('', { signal })[Symbol.asyncIterator]();
      await expect(listing.next()).rejects.toMatchObject({ code: 'cancelled' });
      expect(await keysIn(store)).toEqual(['here']);
    });

    test('reads ranges, and refuses those outside the object before the first byte', async () => {
      const store = await open();
      await store.create('ten', bytesOf('0123456789'));
      const read = async (offset: number, length: number) =>
        (await buffer(await store.read('ten', { range: { offset, length } }))).toString();
      expect(await read(0, 10)).toBe('0123456789');
      expect(await read(3, 4)).toBe('3456');
      expect(await read(10, 0)).toBe('');
      for (const [offset, length] of [
        [0, 11],
        [10, 1],
        [-1, 2],
        [2, -1],
      ] as const) {
        const reading = store.read('ten', { range: { offset, length } });
        await expect(reading).rejects.toMatchObject({ code: 'range-outside-object', permanent: true });
      }
    });

    test('says of an absent object that it is missing, and removes it without complaint', async () => {
      const store = await open();
      await expect(store.read('none')).rejects.toMatchObject({ code: 'object-missing', permanent: true });
      await expect(store.read('none/below')).rejects.toMatchObject({ code: 'object-missing' });
      await store.remove('none');
      await store.remove('none/below');
    });

    test('does not take a folder for an object', async () => {
      const store = await open();
      await store.create('folder/object', bytesOf('x'));
      await expect(store.read('folder')).rejects.toMatchObject({ code: 'object-missing' });
    });

    test('removes an object, after which its key is free', async () => {
      const store = await open();
      await store.create('a/b', bytesOf('one'));
      await store.remove('a/b');
      expect(await keysIn(store)).toEqual([]);
      await store.create('a/b', bytesOf('two'));
      expect(await buffer(await store.read('a/b'))).toEqual(Buffer.from('two'));
    });

    test('lists keys under a prefix in code-unit order, each once, look-alikes apart', async () => {
      const store = await open();
      const keys = [
        'shop/x',
        'shop-2/x',
        'shop.json',
        'shop/x.json',
        'shop/x/y',
        'sho',
        'shop0',
        'Shop/x',
        'shop/_a',
        'shop/Z',
      ];
      for (const key of keys) if (key !== 'shop/x') await store.create(key, bytesOf(key));
      const expected = keys.filter((key) => key !== 'shop/x').sort((a, b) => (a < b ? -1 : 1));
      expect(await keysIn(store)).toEqual(expected);
      for (const prefix of ['shop/', 'shop', 'shop-', 'shop/x', 'shop/x/', 'Sh', 'none/', 'shop.json']) {
        expect(await keysIn(store, prefix)).toEqual(expected.filter((key) => key.startsWith(prefix)));
      }
      expect(await objectsIn(store, 'shop/x/')).toEqual([{ key: 'shop/x/y', bytes: 8 }]);
    });

    test('scenario 13: holds every key that is allowed', async () => {
      const store = await open();
      const keys = [
        'a',
        'A',
        '_',
        '0',
        'a..b',
        'a.-._b',
        'a.json.json',
        'AbC/aBc',
        '__/__',
        `${'long-'.repeat(40)}`,
        Array.from({ length: 150 }, () => 'deep').join('/'),
        '000000010000000000000001-0123456789abcdef0123456789abcdef.zst.enc',
      ].sort((a, b) => (a < b ? -1 : 1));
      for (const key of keys) await store.create(key, bytesOf(key));
      expect(await keysIn(store)).toEqual(keys);
      for (const key of keys) expect((await buffer(await store.read(key))).toString()).toBe(key);
      for (const key of keys) await store.remove(key);
      expect(await keysIn(store)).toEqual([]);
    });

    test(`scenario 13: lists ${manyKeys} keys, and from any beginning of them`, async () => {
      const store = await open();
      const keys = Array.from({ length: manyKeys }, (_, index) => `many/${index}`);
      let next = 0;
      const creator = async () => {
        while (next < keys.length) await store.create(keys[next++] as string, new Uint8Array());
      };
      await Promise.all(Array.from({ length: 16 }, creator));
      keys.sort((a, b) => (a < b ? -1 : 1));
      expect(await keysIn(store, 'many/')).toEqual(keys);
      expect(await keysIn(store, 'many/2')).toEqual(keys.filter((key) => key.startsWith('many/2')));
    });

    test('refuses keys that could leave the store, hide, or mean two things', async () => {
      const store = await open();
      for (const key of [
        '',
        '/a',
        'a/',
        'a//b',
        '../a',
        'a/../b',
        '.',
        'a/.b',
        'a\0b',
        'a\\b',
        'ä',
        'a b',
        '-a',
        `a/${'b'.repeat(201)}`,
      ]) {
        await expect(store.create(key, bytesOf('x')), key).rejects.toMatchObject({ code: 'object-key-invalid' });
        await expect(store.read(key), key).rejects.toMatchObject({ code: 'object-key-invalid' });
        await expect(store.remove(key), key).rejects.toMatchObject({ code: 'object-key-invalid' });
      }
      expect(await keysIn(store)).toEqual([]);
    });
  });
}
