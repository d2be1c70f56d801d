import { randomBytes } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { retrying, retryPolicy } from '../../../storage/bucket/retry.ts';
import { openBucketStore } from '../../../storage/bucket/store.ts';
import { openOssBucket } from '../../../storage/oss/bucket.ts';
import { startMetadata } from '../../support/oss-server/credential-services.ts';
import type { Credentials } from '../../support/oss-server/identities.ts';
import type { OssServer } from '../../support/oss-server/server.ts';
import { tempDir } from '../../support/temp.ts';
import { call, configOf, driverOn, ossServer, pieceBytes, storeOn } from './support.ts';

/** Six pieces; `after` is called once the third is on its way out of here. */
function sixPieces(body: Buffer, after: () => void): Readable {
  function* chunks() {
    for (let piece = 0; piece < 6; piece += 1) {
      if (piece === 4) after();
      yield body.subarray(piece * pieceBytes, (piece + 1) * pieceBytes);
    }
  }
  return Readable.from(chunks());
}

const usedBy = (server: OssServer) => [
  ...new Set(server.seen.filter(({ status }) => status < 300).map(({ accessKeyId }) => accessKeyId)),
];

test('scenario 15: credentials in a file that are rotated in the middle of an upload are taken from there on', async () => {
  const server = await ossServer();
  const file = join(tempDir('keys'), 'oss.json');
  const write = ({ accessKeyId, accessKeySecret, securityToken }: Credentials) => {
    writeFileSync(`${file}.new`, JSON.stringify({ accessKeyId, accessKeySecret, securityToken }), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  const inAnHour = new Date(Date.now() + 3_600_000);
  const [first, second] = [server.identities.addSession(inAnHour), server.identities.addSession(inAnHour)];
  write(first);
  const store = await storeOn(server, { config: { credentials: { file } } });
  const body = randomBytes(6 * pieceBytes);
  const rotate = () => {
    server.identities.expire(first);
    write(second);
  };
  await store.create('a', sixPieces(body, rotate));
  expect((await buffer(await store.read('a'))).equals(body)).toBe(true);
  expect(usedBy(server)).toEqual([first.accessKeyId, second.accessKeyId]);
});

test('scenario 15: a role whose credentials the store suddenly refuses gives new ones, and the upload goes on', async () => {
  const server = await ossServer();
  const metadata = await startMetadata(server.identities, 'pgproof');
  onTestFinished(() => metadata.close());
  const config = configOf(server, { credentials: { ecsRole: 'pgproof' } });
  const services = { metadata: metadata.address, sts: '' };
  const policy = { ...retryPolicy, firstMs: 20, patienceMs: 3000, shortPatienceMs: 3000 };
  const bucket = retrying(await openOssBucket(config, { env: {}, services }), { policy });
  const store = openBucketStore(bucket, { prefix: '', pieceBytes });
  const body = randomBytes(6 * pieceBytes);
  await store.create(
    'a',
    sixPieces(body, () => server.identities.expire(metadata.given[0] as Credentials)),
  );
  expect((await buffer(await store.read('a'))).equals(body)).toBe(true);
  expect(metadata.given).toHaveLength(2);
  expect(usedBy(server)).toEqual(metadata.given.map(({ accessKeyId }) => accessKeyId));
});

test('scenario 16: abandoned uploads below our prefix are aborted before the first of ours, others stay', async () => {
  const server = await ossServer();
  const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000);
  const begin = (key: string, startedAt: Date) => {
    const kept = { storageClass: 'Standard', encryption: undefined, kmsKeyId: undefined };
    server.bucket.initiate(key, kept).startedAt = startedAt;
  };
  // More than a page of them.
  for (let each = 0; each < 1100; each += 1) begin(`ours/old ${each % 7}&`, daysAgo(4));
  begin('ours/young', daysAgo(2));
  begin('theirs/old', daysAgo(4));
  const store = await storeOn(server, { config: { prefix: 'ours/' } });
  await store.create('a', Readable.from([randomBytes(2 * pieceBytes)]));
  expect([...server.bucket.uploads.values()].map(({ key }) => key).sort()).toEqual(['ours/young', 'theirs/old']);
});

test('uploads are listed a page at a time, each once', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  const kept = { storageClass: 'Standard', encryption: undefined, kmsKeyId: undefined };
  const ids = Array.from({ length: 2100 }, (_, each) => server.bucket.initiate(`up/${each % 3} +%/`, kept).id);
  const seen: string[] = [];
  let after: string | undefined;
  do {
    const page = await bucket.uploads('up/', after, call);
    expect(page.uploads.length).toBeLessThanOrEqual(1000);
    seen.push(...page.uploads.map(({ upload }) => upload));
    after = page.next;
  } while (after !== undefined);
  expect(seen.sort()).toEqual(ids.sort());
  expect((await bucket.uploads('up/1', undefined, call)).uploads[0]).toMatchObject({ key: 'up/1 +%/' });
  expect((await bucket.uploads('none/', undefined, call)).uploads).toEqual([]);
});

test('scenario 3: a put or an upload whose answer was lost succeeds', async () => {
  const server = await ossServer();
  const store = await storeOn(server);
  const small = randomBytes(1000);
  const large = randomBytes(3 * pieceBytes);
  server.faults = [
    { on: 'PutObject', times: 1, fault: { kind: 'lose-answer' } },
    { on: 'InitiateMultipartUpload', times: 1, fault: { kind: 'lose-answer' } },
    { on: 'UploadPart', times: 1, fault: { kind: 'lose-answer' } },
    { on: 'CompleteMultipartUpload', times: 1, fault: { kind: 'lose-answer' } },
    { on: 'DeleteObject', times: 1, fault: { kind: 'lose-answer' } },
  ];
  await store.create('small', small);
  await store.create('large', Readable.from([large]));
  expect((await buffer(await store.read('small'))).equals(small)).toBe(true);
  expect((await buffer(await store.read('large'))).equals(large)).toBe(true);
  await store.remove('small');
  expect(server.bucket.keys()).toEqual(['large']);
  expect(server.faults.map(({ times }) => times)).toEqual([0, 0, 0, 0, 0]);
});

test('scenario 11: a store that fails now and then costs time, and nothing else', async () => {
  const server = await ossServer();
  const store = await storeOn(server);
  const body = randomBytes(6 * pieceBytes);
  server.faults = [
    { on: 'UploadPart', times: 1, fault: { kind: 'status', status: 500 } },
    { on: 'UploadPart', times: 2, fault: { kind: 'reset' } },
    { on: 'UploadPart', times: 1, fault: { kind: 'status', status: 503, code: 'UploadTrafficRateLimitExceeded' } },
    { on: 'ListObjectsV2', times: 1, fault: { kind: 'status', status: 429 } },
    { on: 'GetObject', times: 1, fault: { kind: 'reset' } },
  ];
  await store.create('a', Readable.from([body]));
  expect((await buffer(await store.read('a'))).equals(body)).toBe(true);
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  expect(keys).toEqual(['a']);
});

test('an upload that is gone is object-missing to complete, and nothing to abort', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  const upload = await bucket.begin('a', call);
  const receipt = await bucket.putPart('a', upload, 1, randomBytes(10), call);
  await bucket.abort('a', upload, call);
  await bucket.abort('a', upload, call);
  await expect(bucket.complete('a', upload, [receipt], call)).rejects.toMatchObject({ code: 'object-missing' });
  await expect(bucket.putPart('a', upload, 1, randomBytes(10), call)).rejects.toMatchObject({ code: 'object-missing' });
});

test('storage class and encryption by the store are said for every object, whole or in parts', async () => {
  const server = await ossServer();
  const encryption = { algorithm: 'KMS', kmsKeyId: 'key-1234' } as const;
  const store = await storeOn(server, { config: { storageClass: 'IA', encryption } });
  await store.create('small', randomBytes(10));
  await store.create('large', Readable.from([randomBytes(2 * pieceBytes)]));
  for (const key of ['small', 'large'])
    expect(server.bucket.current(key)).toMatchObject({ storageClass: 'IA', encryption: 'KMS', kmsKeyId: 'key-1234' });
});
