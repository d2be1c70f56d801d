import { randomBytes } from 'node:crypto';
import { globSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBucketStore } from '../../../storage/bucket/store.ts';
import { openBucket } from '../../../storage/open.ts';
import { startS3Server, type TestS3 } from '../../support/s3-server.ts';
import { call, driverOn, networkBefore, pieceBytes, refused } from './support.ts';

let server: TestS3;
let name: string;
beforeAll(async () => {
  server = await startS3Server();
  name = await server.bucket();
});
afterAll(async () => server.close());

test('scenario 16: uploads that writers abandoned are reaped after three days; younger ones and those of others stay', async () => {
  const bucket = await driverOn(server, name);
  const [old, young, foreign] = [
    await bucket.begin('ours/old', call),
    await bucket.begin('ours/young', call),
    await bucket.begin('theirs/old', call),
  ];
  await bucket.putPart('ours/old', old, 1, randomBytes(1000), call);
  const longAgo = Date.now() / 1000 - 4 * 86_400;
  for (const upload of [old, foreign])
    for (const folder of globSync(`.sgwtmp/**/${upload}`, { cwd: join(server.folder, name) }))
      utimesSync(join(server.folder, name, folder), longAgo, longAgo);
  const store = openBucketStore(bucket, { prefix: 'ours/', pieceBytes });
  expect(await store.reapUploads()).toBe(1);
  const { uploads } = await bucket.uploads('', undefined, call);
  expect(uploads.map(({ upload }) => upload).sort()).toEqual([young, foreign].sort());
  await bucket.abort('ours/young', young, call);
  await bucket.abort('theirs/old', foreign, call);
  await bucket.abort('theirs/old', foreign, call);
});

if (process.env.PGPROOF_TEST_FULL)
  test('uploads are listed over as many pages as there are', async () => {
    const bucket = await driverOn(server, name);
    const begun = new Set<string>();
    for (let count = 0; count < 1003; count += 1) begun.add(await bucket.begin(`paged/${count}`, call));
    let after: string | undefined;
    let pages = 0;
    do {
      const page = await bucket.uploads('paged/', after, call);
      for (const { key, upload } of page.uploads) {
        expect(key).toMatch(/^paged/);
        expect(begun.delete(upload)).toBe(true);
      }
      after = page.next;
      pages += 1;
    } while (after !== undefined);
    expect(begun.size).toBe(0);
    expect(pages).toBe(2);
  });

test('an upload that is gone says so to each part and to its end', async () => {
  const bucket = await driverOn(server, name);
  const upload = await bucket.begin('gone', call);
  const receipt = await bucket.putPart('gone', upload, 1, Buffer.from('x'), call);
  await bucket.abort('gone', upload, call);
  for (const ask of [
    () => bucket.putPart('gone', upload, 2, Buffer.from('x'), call),
    () => bucket.complete('gone', upload, [receipt], call),
  ])
    expect(await refused(ask())).toMatchObject({ code: 'object-missing' });
});

test('a completion that the store did and did not answer is a success, with the bytes that were given', async () => {
  const network = await networkBefore(server);
  const config = server.config(name, { endpoint: network.endpoint, prefix: 'lost/' });
  const store = openBucketStore(await openBucket(config, { env: server.env() }), { prefix: 'lost/', pieceBytes });
  const body = randomBytes(2 * pieceBytes + 1);
  network.rules.push({ method: 'POST', url: /uploadId=/, times: 1, mishap: { kind: 'lose-answer' } });
  expect(await store.create('a', Readable.from([body]))).toMatchObject({ bytes: body.length });
  expect((await buffer(await store.read('a'))).equals(body)).toBe(true);
});

test('each call ends when its signal aborts, also while a body is on its way', async () => {
  const network = await networkBefore(server);
  network.rules.push({ mishap: { kind: 'hang' } });
  const bucket = await driverOn(server, name, { endpoint: network.endpoint });
  const abort = new AbortController();
  const own = { signal: abort.signal };
  const waiting = [
    bucket.put('a', Buffer.alloc(8 << 20), own),
    bucket.putPart('a', 'id', 1, Buffer.alloc(8 << 20), own),
    bucket.get('a', undefined, own),
    bucket.list('', undefined, own),
    bucket.inspect('', own),
  ];
  await expect.poll(() => network.seen.length).toBe(waiting.length);
  abort.abort();
  for (const each of await Promise.allSettled(waiting))
    expect(each).toMatchObject({ status: 'rejected', reason: { code: 'cancelled' } });

  network.rules.length = 0;
  await bucket.put('long', Buffer.alloc(8 << 20), call);
  const reading = new AbortController();
  const { body } = await bucket.get('long', undefined, { signal: reading.signal });
  const read = buffer(body);
  reading.abort();
  await expect(read).rejects.toMatchObject({ code: 'cancelled' });
});

test('a store that honours no ranges is named before its bytes are taken for others', async () => {
  const network = await networkBefore(server);
  const bucket = await driverOn(server, name, { endpoint: network.endpoint });
  await bucket.put('ranged', Buffer.from('0123456789'), call);
  network.rules.push({ method: 'GET', mishap: { kind: 'hide', headers: /^content-range$/i } });
  expect(await refused(bucket.get('ranged', { offset: 2, length: 3 }, call))).toMatchObject({
    code: 'store-misconfigured',
    message: "the store does not honour ranges: asked for a part of 'ranged'",
  });
});

test('a reader that pauses is not taken for a store that hangs, and keeps the order of its bytes', async () => {
  const bucket = await driverOn(server, name);
  const whole = randomBytes(6 << 20);
  await bucket.put('slowly', whole, call);
  const { body } = await bucket.get('slowly', undefined, call);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) {
    chunks.push(chunk);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(Buffer.concat(chunks).equals(whole)).toBe(true);
});
