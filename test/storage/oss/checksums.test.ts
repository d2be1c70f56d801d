import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import type { Bucket, Receipt } from '../../../storage/bucket/bucket.ts';
import { call, driverOn, ossServer, pieceBytes, storeOn } from './support.ts';

/** How many there are: where a test fails, the bytes themselves take long to be shown. */
const lengthOf = async (body: Readable): Promise<number> => (await buffer(body)).length;

const damaged = { code: 'object-damaged', permanent: true };

async function partsOf(bucket: Bucket, key: string, upload: string, count: number): Promise<Receipt[]> {
  const parts = Array.from({ length: count }, (_, index) =>
    bucket.putPart(key, upload, index + 1, randomBytes(pieceBytes + index), call),
  );
  return Promise.all(parts);
}

test('scenario 12: a put of which the store keeps other bytes fails, and is taken back', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  for (const fault of [
    { kind: 'flip-stored', at: 500 },
    { kind: 'shorten', bytes: 10 },
    { kind: 'shorten', bytes: 0 },
  ] as const) {
    server.faults = [{ on: 'PutObject', times: 1, fault }];
    await expect(bucket.put('a', randomBytes(1000), call)).rejects.toMatchObject({
      ...damaged,
      facts: { key: 'a', removed: true },
    });
    expect(server.bucket.keys()).toEqual([]);
  }
  await bucket.put('a', randomBytes(1000), call);
});

test('scenario 12: a put that was kept wrong and cannot be taken back says so', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  server.bucket.worm = { days: 1, state: 'Locked' };
  server.faults = [{ on: 'PutObject', times: 1, fault: { kind: 'flip-stored', at: 0 } }];
  await expect(bucket.put('a', randomBytes(10), call)).rejects.toMatchObject({ ...damaged, facts: { removed: false } });
});

test('scenario 12: a part of which the store keeps other bytes fails the upload, and nothing stays', async () => {
  const server = await ossServer();
  const store = await storeOn(server);
  server.faults = [{ on: 'UploadPart', after: 1, times: 1, fault: { kind: 'flip-stored', at: 77 } }];
  await expect(store.create('a', Readable.from([randomBytes(4 * pieceBytes)]))).rejects.toMatchObject({
    ...damaged,
    facts: { part: expect.any(Number) },
  });
  expect(server.bucket.keys()).toEqual([]);
  expect(server.bucket.uploads.size).toBe(0);
});

test('an object whose checksum is not what its parts combine to is refused, and taken back', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  const upload = await bucket.begin('a', call);
  const receipts = await partsOf(bucket, 'a', upload, 3);
  const part = server.bucket.uploads.get(upload)?.parts.get(2);
  if (part === undefined) throw new Error('the server has no such part');
  part.body = { ...part.body, crc64: '1' };
  await expect(bucket.complete('a', upload, receipts, call)).rejects.toMatchObject({
    ...damaged,
    facts: { removed: true },
  });
  expect(server.bucket.keys()).toEqual([]);
});

test('what arrives changed is refused by the store itself, and may be sent again', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  const held = Promise.withResolvers<void>();
  server.faults = [{ on: 'PutObject', times: 1, fault: { kind: 'hold', until: () => held.promise } }];
  // More than the connection holds by itself.
  const bytes = randomBytes(30_000_000);
  const putting = bucket.put('a', bytes, call);
  await expect.poll(() => server.seen.at(-1)?.operation, { interval: 1 }).toBe('PutObject');
  // The digest went ahead: bytes that change while they travel are not stored.
  bytes.fill(0);
  held.resolve();
  await expect(putting).rejects.toMatchObject({ code: 'store-unreachable', facts: { storeCode: 'InvalidDigest' } });
  expect(server.bucket.keys()).toEqual([]);
});

test('scenario 12: a whole object that arrives flipped fails its reader', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  const bytes = randomBytes(700_000);
  await bucket.put('a', bytes, call);
  for (const at of [0, 300_000, 699_999]) {
    server.faults = [{ on: 'GetObject', times: 1, fault: { kind: 'flip', at } }];
    const { body } = await bucket.get('a', undefined, call);
    await expect(lengthOf(body)).rejects.toMatchObject(damaged);
  }
  const { body, bytes: length } = await bucket.get('a', undefined, call);
  expect(length).toBe(700_000);
  expect((await buffer(body)).equals(bytes)).toBe(true);
});

test('scenario 12: a body that is cut off is taken up where it broke', async () => {
  const server = await ossServer();
  const store = await storeOn(server);
  const bytes = randomBytes(700_000);
  await store.create('a', bytes);
  server.faults = [
    { on: 'GetObject', times: 1, fault: { kind: 'truncate', bytes: 100_000 } },
    { on: 'GetObject', times: 1, fault: { kind: 'truncate', bytes: 1 } },
  ];
  expect((await buffer(await store.read('a'))).equals(bytes)).toBe(true);
  expect(server.faults.map(({ times }) => times)).toEqual([0, 0]);
});

test('a range is exactly what was asked for, or an error', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  await bucket.put('a', Buffer.from('0123456789'), call);
  const get = async (offset: number, length: number) => {
    const { body, bytes } = await bucket.get('a', { offset, length }, call);
    const text = (await buffer(body)).toString();
    expect(bytes).toBe(text.length);
    return text;
  };
  expect(await get(0, 10)).toBe('0123456789');
  expect(await get(3, 1)).toBe('3');
  for (const [offset, length] of [
    [10, 1],
    [9, 2],
    [0, 11],
    [50, 50],
  ] as const)
    await expect(get(offset, length)).rejects.toMatchObject({ code: 'range-outside-object', permanent: true });
});

test('a store that answers a range with everything, or with other bytes, is caught before the first of them', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  await bucket.put('a', Buffer.from('0123456789'), call);
  for (const kind of ['legacy-range', 'wrong-range'] as const) {
    server.faults = [{ on: 'GetObject', fault: { kind } }];
    await expect(bucket.get('a', { offset: 3, length: 4 }, call)).rejects.toMatchObject({
      code: 'store-misconfigured',
      facts: { key: 'a', asked: '3-6' },
    });
  }
  server.faults = [{ on: 'GetObject', fault: { kind: 'legacy-range' } }];
  await expect(bucket.get('a', { offset: 9, length: 4 }, call)).rejects.toMatchObject({ code: 'range-outside-object' });
});
