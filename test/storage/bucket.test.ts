import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Bucket } from '../../storage/bucket/bucket.ts';
import { openBucketStore } from '../../storage/bucket/store.ts';
import { openOssBucket } from '../../storage/oss/bucket.ts';
import { type OssServer, startOssServer } from '../support/oss-server/server.ts';
import { configOf, envOf } from './oss/support.ts';

/* What is done above a driver, shown on one store: nothing here depends on which. */

const pieceBytes = 128 * 1024;
const call = { signal: new AbortController().signal };

let server: OssServer;
let bucket: Bucket;
let prefix: string;
let tests = 0;
beforeAll(async () => {
  server = await startOssServer();
  bucket = await openOssBucket(configOf(server), { env: envOf(server.credentials) });
});
afterAll(() => server?.close());
beforeEach(() => {
  tests += 1;
  prefix = `t${tests}/`;
});

/** How many there are: where a test fails, the bytes themselves take long to be shown. */
const lengthOf = async (body: Readable): Promise<number> => (await buffer(body)).length;
const storeOn = (some: Bucket) => openBucketStore(some, { prefix, pieceBytes, parallel: 3 });
/** The same bucket with one method that does something else. */
const but = (methods: Partial<Bucket>): Bucket =>
  Object.assign(Object.create(null), boundTo(bucket), methods) as Bucket;
const boundTo = (whole: Bucket) =>
  Object.fromEntries(
    ['put', 'begin', 'putPart', 'complete', 'abort', 'uploads', 'head', 'get', 'list', 'remove', 'inspect'].map(
      (name) => [name, (whole[name as keyof Bucket] as (...args: unknown[]) => unknown).bind(whole)],
    ),
  );

test('scenario 16: uploads that were abandoned days ago are aborted; younger ones, and those of others, go on', async () => {
  const old = await bucket.begin(`${prefix}old`, call);
  const young = await bucket.begin(`${prefix}young`, call);
  const others = await bucket.begin(`other-${prefix}old`, call);
  const begunDaysAgo = (id: string, days: number) => {
    const upload = [...server.bucket.uploads.values()].find((each) => each.id === id);
    if (upload === undefined) throw new Error('no such upload');
    upload.startedAt = new Date(Date.now() - days * 86_400_000);
  };
  begunDaysAgo(old, 3.1);
  begunDaysAgo(young, 2.9);
  begunDaysAgo(others, 30);
  const left = () => [...server.bucket.uploads.values()].map(({ id }) => id).sort();

  expect(await storeOn(bucket).reapUploads()).toBe(1);
  expect(left()).toEqual([young, others].sort());

  begunDaysAgo(young, 4);
  const store = storeOn(bucket);
  await store.create('small', Buffer.from('x'));
  expect(left()).toEqual([young, others].sort());
  await store.create('large', randomBytes(3 * pieceBytes));
  expect(left()).toEqual([others]);
  await bucket.abort(`other-${prefix}old`, others, call);
});

test('an object is created although nobody may list uploads', async () => {
  const store = storeOn(but({ uploads: () => Promise.reject(new Error('not allowed')) }));
  const body = randomBytes(3 * pieceBytes);
  await store.create('large', Readable.from([body]));
  expect((await buffer(await store.read('large'))).equals(body)).toBe(true);
});

test('a source is read no further than the pieces that are under way', async () => {
  const all = Promise.withResolvers<void>();
  let under = 0;
  const store = storeOn(
    but({
      putPart: async (...part) => {
        under += 1;
        await all.promise;
        return bucket.putPart(...part);
      },
    }),
  );
  let taken = 0;
  async function* source() {
    for (; taken < 40; taken += 1) yield randomBytes(pieceBytes / 4);
  }
  const creating = store.create('large', Readable.from(source(), { objectMode: false, highWaterMark: 1 }));
  await expect.poll(() => under).toBe(3);
  // Time enough for whoever would read on.
  for (let turn = 0; turn < 1000; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(under).toBe(3);
  expect(taken).toBeLessThanOrEqual(3 * 4 + 2);
  all.resolve();
  expect(await creating).toMatchObject({ bytes: 40 * (pieceBytes / 4) });
});

test('a part that fails ends the upload, the other parts and the source', async () => {
  const error = new Error('the part failed');
  const store = storeOn(
    but({
      putPart: (key, id, number, bytes, inner) =>
        number === 2 ? Promise.reject(error) : bucket.putPart(key, id, number, bytes, inner),
    }),
  );
  const body = new Readable({ read() {} });
  body.push(randomBytes(3 * pieceBytes));
  await expect(store.create('large', body)).rejects.toThrow('the part failed');
  expect(body.destroyed).toBe(true);
  expect([...server.bucket.uploads.values()].filter(({ key }) => key.startsWith(prefix))).toEqual([]);
});

test('a read that yields fewer bytes than were promised fails, also when it ends as if nothing were wrong', async () => {
  const body = randomBytes(300_000);
  await storeOn(bucket).create('a', body);
  const short = but({
    get: async (key, range, inner) => {
      const got = await bucket.get(key, range, inner);
      got.body.destroy();
      return { ...got, body: Readable.from([body.subarray(0, 100)]) };
    },
  });
  await expect(lengthOf(await storeOn(short).read('a'))).rejects.toMatchObject({ code: 'object-damaged' });
  const long = but({
    get: async (key, range, inner) => {
      const got = await bucket.get(key, range, inner);
      got.body.destroy();
      return { ...got, body: Readable.from([body, Buffer.from('more')]) };
    },
  });
  await expect(lengthOf(await storeOn(long).read('a'))).rejects.toMatchObject({ code: 'object-damaged' });
});

test('a store that answers another size after an upload than it was given is not believed', async () => {
  const store = storeOn(but({ head: async () => ({ bytes: 5, etag: '' }) }));
  const creating = store.create('large', Readable.from([randomBytes(3 * pieceBytes)]));
  await expect(creating).rejects.toMatchObject({ code: 'object-damaged' });
});

test('a listing out of order, beside the prefix, or that turns in circles is an error and not a shorter list', async () => {
  const page = (...keys: string[]) => ({ objects: keys.map((key) => ({ key: `${prefix}${key}`, bytes: 1 })) });
  const list = async (pages: Bucket['list']) => {
    const keys: string[] = [];
    for await (const { key } of storeOn(but({ list: pages })).list('')) keys.push(key);
    return keys;
  };
  expect(await list(async () => page('a', 'b'))).toEqual(['a', 'b']);
  const wrong = { code: 'store-misconfigured' };
  await expect(list(async () => page('b', 'a'))).rejects.toMatchObject(wrong);
  await expect(list(async () => page('a', 'a'))).rejects.toMatchObject(wrong);
  await expect(list(async () => ({ objects: [{ key: 'elsewhere', bytes: 1 }] }))).rejects.toMatchObject(wrong);
  await expect(list(async () => ({ ...page('a'), next: `${prefix}a` }))).rejects.toMatchObject(wrong);
  await expect(list(async () => ({ objects: [], next: `${prefix}a` }))).rejects.toMatchObject(wrong);
});
