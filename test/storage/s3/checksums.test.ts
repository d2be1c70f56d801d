import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Receipt } from '../../../storage/bucket/bucket.ts';
import { crcText, wholeCrc } from '../../../storage/s3/checksums.ts';
import type { MishapRule } from '../../support/misbehaving.ts';
import { startS3Server, type TestS3 } from '../../support/s3-server.ts';
import { call, driverOn, networkBefore, pieceBytes, refused, xmlError } from './support.ts';

let server: TestS3;
let name: string;
beforeAll(async () => {
  server = await startS3Server();
  name = await server.bucket();
});
afterAll(async () => server.close());

/** How many there are: where a test fails, the bytes themselves take long to be shown. */
const lengthOf = async (body: Readable): Promise<number> => (await buffer(body)).length;

async function behind(...rules: MishapRule[]) {
  const network = await networkBefore(server);
  network.rules.push(...rules);
  return { network, bucket: await driverOn(server, name, { endpoint: network.endpoint }) };
}

/** A store that ignores the checksum which it is sent: it answers none, and keeps none as far as it says. */
const ignoring: MishapRule = { mishap: { kind: 'hide', headers: /^x-amz-checksum/i } };

test('the checksum of the whole is that of its parts combined', () => {
  const parts = [12_345, 0, 1, 777, 65_536].map((bytes) => randomBytes(bytes));
  const receipts = parts.map((part, index) => ({
    number: index + 1,
    bytes: part.length,
    etag: '',
    checksum: `crc32:${crcText(part)}`,
  }));
  expect(wholeCrc(receipts)).toBe(crcText(Buffer.concat(parts)));
  expect(wholeCrc([...receipts, { number: 6, bytes: 1, etag: '', checksum: 'md5:x' }])).toBeUndefined();
});

test('bytes that are damaged on their way up are not taken, and the request may be sent again', async () => {
  const { network, bucket } = await behind();
  await bucket.put('warm', Buffer.from('the store is known to keep checksums'), call);
  for (const key of ['up-first', 'up-second']) {
    network.rules.push({ method: 'PUT', times: 1, mishap: { kind: 'flip-sent', at: 700_000 } });
    const error = await refused(bucket.put(key, Buffer.alloc(1 << 20), call));
    expect(error).toMatchObject({ code: 'store-unreachable', permanent: false });
    expect(await bucket.head(key, call)).toBeUndefined();
    await bucket.put(key, Buffer.alloc(1 << 20), call);
  }
  const upload = await bucket.begin('parts', call);
  network.rules.push({ method: 'PUT', times: 1, mishap: { kind: 'flip-sent', at: 9 } });
  expect(await refused(bucket.putPart('parts', upload, 1, randomBytes(100), call))).toMatchObject({
    code: 'store-unreachable',
  });
  await bucket.abort('parts', upload, call);
});

test('the very first bytes are held by the signature, before anything is known of the store', async () => {
  const { bucket } = await behind({ method: 'PUT', times: 1, mishap: { kind: 'flip-sent', at: 0 } });
  expect(await refused(bucket.put('first', Buffer.from('0'), call))).toMatchObject({ code: 'store-unreachable' });
  expect(await bucket.head('first', call)).toBeUndefined();
});

test('a bit that flips on its way down fails the reader at the end of the whole', async () => {
  const { network, bucket } = await behind();
  const body = randomBytes(300_000);
  await bucket.put('down', body, call);
  network.rules.push({ method: 'GET', times: 1, mishap: { kind: 'flip', at: 123_456 } });
  await expect(lengthOf((await bucket.get('down', undefined, call)).body)).rejects.toMatchObject({
    code: 'object-damaged',
    facts: { key: 'down', stored: crcText(body) },
  });
  expect((await buffer((await bucket.get('down', undefined, call)).body)).equals(body)).toBe(true);
});

test('a bit that rots in the store fails the reader', async () => {
  const bucket = await driverOn(server, name);
  await bucket.put('rots', randomBytes(1000), call);
  const file = join(server.folder, name, 'rots');
  const bytes = readFileSync(file);
  bytes[500] = (bytes[500] as number) ^ 1;
  writeFileSync(file, bytes);
  await expect(lengthOf((await bucket.get('rots', undefined, call)).body)).rejects.toMatchObject({
    code: 'object-damaged',
  });
});

test('a store that took other bytes than it was given is not believed, and what it has is taken back', async () => {
  const answer = { 'x-amz-checksum-crc32': 'AAAAAA==', etag: '"0123456789abcdef0123456789abcdef"' };
  const { bucket } = await behind({
    method: 'PUT',
    mishap: { kind: 'answer', status: 200, body: '', headers: answer },
  });
  const x = Buffer.from('x');
  const taken = await driverOn(server, name);
  await taken.put('other', Buffer.from('y'), call);
  expect(await refused(bucket.put('other', x, call))).toMatchObject({
    code: 'object-damaged',
    permanent: true,
    facts: { sent: crcText(x), stored: 'AAAAAA==', removed: true },
  });
  // It must not be taken for the object.
  expect(await taken.head('other', call)).toBeUndefined();
  expect(await refused(bucket.putPart('other', 'id', 1, x, call))).toMatchObject({ code: 'object-damaged' });
});

test('a whole that is not what its parts come to is not believed', async () => {
  const whole = (more: string) =>
    `<CompleteMultipartUploadResult><Key>k</Key><ETag>"0-1"</ETag>${more}</CompleteMultipartUploadResult>`;
  const receipt: Receipt = { number: 1, bytes: 1, etag: '"e"', checksum: `crc32:${crcText(Buffer.from('x'))}` };
  const { network, bucket } = await behind();
  const answering = (more: string) =>
    network.rules.unshift({ method: 'POST', mishap: { kind: 'answer', status: 200, body: whole(more) } });
  answering('<ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumType>FULL_OBJECT</ChecksumType>');
  expect(await refused(bucket.complete('k', 'id', [receipt], call))).toMatchObject({ code: 'object-damaged' });
  answering('<ChecksumCRC32>AAAAAA==-1</ChecksumCRC32><ChecksumType>COMPOSITE</ChecksumType>');
  expect(await refused(bucket.complete('k', 'id', [receipt], call))).toMatchObject({ code: 'object-damaged' });
  const md5 = { ...receipt, etag: '"9dd4e461268c8034f5c8564e155c67a6"', checksum: 'md5:x' };
  network.rules.unshift({
    method: 'POST',
    mishap: { kind: 'answer', status: 200, body: whole('').replace('0-1', `${'0'.repeat(32)}-1`) },
  });
  expect(await refused(bucket.complete('k', 'id', [md5], call))).toMatchObject({ code: 'object-damaged' });
});

test('a store that ignores the checksum is sent MD5 instead, and its ETags are compared', async () => {
  const { network, bucket } = await behind(ignoring);
  const body = randomBytes(2000);
  await bucket.put('by-md5', body, call);
  expect(await buffer((await bucket.get('by-md5', undefined, call)).body)).toEqual(body);

  network.rules.unshift({ method: 'PUT', times: 1, mishap: { kind: 'flip-sent', at: 1000 } });
  expect(await refused(bucket.put('by-md5-damaged', body, call))).toMatchObject({ code: 'store-unreachable' });
  const lying = { etag: '"0123456789abcdef0123456789abcdef"' };
  network.rules.unshift({ method: 'PUT', times: 1, mishap: { kind: 'answer', status: 200, body: '', headers: lying } });
  expect(await refused(bucket.put('by-md5-lie', body, call))).toMatchObject({ code: 'object-damaged' });
  // With keys of a KMS an ETag says nothing.
  const kms = { ...lying, 'x-amz-server-side-encryption': 'aws:kms' };
  network.rules.unshift({ method: 'PUT', times: 1, mishap: { kind: 'answer', status: 200, body: '', headers: kms } });
  await bucket.put('by-md5-kms', body, call);

  const upload = await bucket.begin('parts-by-md5', call);
  const receipts = [
    await bucket.putPart('parts-by-md5', upload, 1, randomBytes(pieceBytes), call),
    await bucket.putPart('parts-by-md5', upload, 2, body, call),
  ];
  expect(receipts.every(({ checksum }) => checksum.startsWith('md5:'))).toBe(true);
  await bucket.complete('parts-by-md5', upload, receipts, call);
  expect(await bucket.head('parts-by-md5', call)).toMatchObject({ bytes: pieceBytes + 2000 });
});

test('a store that refuses checksums, or conditions, is written to without them; the look before stays', async () => {
  const x = Buffer.from('x');
  const { bucket: noChecksums } = await behind({
    header: ['x-amz-checksum-crc32', /./],
    mishap: {
      kind: 'answer',
      status: 400,
      body: xmlError('InvalidArgument', "Unsupported header 'x-amz-checksum-crc32'"),
    },
  });
  await noChecksums.put('no-checksums', x, call);
  expect(await refused(noChecksums.put('no-checksums', x, call))).toMatchObject({ code: 'object-exists' });

  const refusing: MishapRule = {
    header: ['if-none-match', /./],
    mishap: {
      kind: 'answer',
      status: 501,
      body: xmlError('NotImplemented', 'A header you provided is not implemented'),
    },
  };
  const { network, bucket } = await behind(refusing);
  await bucket.put('no-conditions', x, call);
  expect(await refused(bucket.put('no-conditions', x, call))).toMatchObject({ code: 'object-exists' });
  const upload = await bucket.begin('no-conditions', call);
  const receipt = await bucket.putPart('no-conditions', upload, 1, x, call);
  expect(await refused(bucket.complete('no-conditions', upload, [receipt], call))).toMatchObject({
    code: 'object-exists',
  });
  await bucket.abort('no-conditions', upload, call);
  expect(network.seen.filter((line) => line.startsWith('HEAD')).length).toBeGreaterThanOrEqual(3);

  // What is refused for another reason costs nothing of what the store can do.
  const { bucket: full, network: other } = await behind({
    method: 'PUT',
    mishap: { kind: 'answer', status: 501, body: xmlError('NotImplemented', 'no such storage class') },
  });
  expect(await refused(full.put('refused', x, call))).toMatchObject({
    code: 'store-misconfigured',
    facts: { status: 501 },
  });
  other.rules.length = 0;
  await full.put('refused', x, call);
  const heads = other.seen.filter((line) => line.startsWith('HEAD')).length;
  await refused(full.put('refused', x, call));
  expect(other.seen.filter((line) => line.startsWith('HEAD')).length).toBe(heads);
});

test('storage class and encryption by the store go along with what is new, and only where they are set', async () => {
  const { network } = await behind();
  const seen: Record<string, string>[] = [];
  const spy = {
    header: [
      'x-amz-storage-class',
      { test: (value: string) => seen.push({ value }) > 0 && false } as unknown as RegExp,
    ],
  } as const;
  network.rules.push({ header: [...spy.header], mishap: { kind: 'reset' } });
  const options = { endpoint: network.endpoint, storageClass: 'STANDARD_IA' };
  const bucket = await driverOn(server, name, options);
  await bucket.begin('class', call).then((upload) => bucket.abort('class', upload, call));
  expect(seen[0]).toEqual({ value: 'STANDARD_IA' });
  expect(seen.slice(1).every(({ value }) => value === '')).toBe(true);
  expect(readdirSync(join(server.folder, name))).not.toContain('class');
});
