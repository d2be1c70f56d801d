import { inspect } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import type { Bucket } from '../../../storage/bucket/bucket.ts';
import { openS3Bucket } from '../../../storage/s3/bucket.ts';
import { translated } from '../../../storage/s3/errors.ts';
import { startS3Server, type TestS3 } from '../../support/s3-server.ts';
import { call, driverOn, networkBefore, refused, xmlError } from './support.ts';

let server: TestS3;
let name: string;
beforeAll(async () => {
  server = await startS3Server();
  name = await server.bucket({ readers: true });
});
afterAll(async () => server.close());

const x = Buffer.from('x');

/** One request of each kind that people meet first; the large put has more of a body than a store reads that refuses. */
const each: [string, (bucket: Bucket) => Promise<unknown>][] = [
  ['put', (bucket) => bucket.put('a', x, call)],
  ['large put', (bucket) => bucket.put('a', Buffer.alloc(8 << 20), call)],
  ['begin', (bucket) => bucket.begin('a', call)],
  ['head', (bucket) => bucket.head('a', call)],
  ['get', (bucket) => bucket.get('a', undefined, call)],
  ['list', (bucket) => bucket.list('', undefined, call)],
  ['remove', (bucket) => bucket.remove('a', call)],
  ['inspect', (bucket) => bucket.inspect('', call)],
];

test('scenario 15: a wrong region is named with the right one, whatever is asked', async () => {
  const bucket = await driverOn(server, name, { region: 'us-west-2' });
  for (const [what, ask] of each)
    expect((await refused(ask(bucket))).toDocument(), what).toMatchObject({
      code: 'store-misconfigured',
      message: `the bucket '${name}' is in the region 'eu-central-1', not in 'us-west-2'`,
      facts: { region: 'us-west-2', rightRegion: 'eu-central-1' },
      hint: 'Set `region: eu-central-1`, and the endpoint of that region.',
    });
});

test("scenario 15: a redirect by Amazon names the bucket's region, also where the answer has no body", async () => {
  const network = await networkBefore(server);
  const headers = { 'x-amz-bucket-region': 'ap-southeast-1' };
  const body = xmlError('PermanentRedirect', 'The bucket must be addressed using the specified endpoint.');
  network.rules.push({ method: 'HEAD', mishap: { kind: 'answer', status: 301, body: '', headers } });
  network.rules.push({ mishap: { kind: 'answer', status: 301, body, headers } });
  const bucket = await driverOn(server, name, { endpoint: network.endpoint });
  for (const ask of [() => bucket.head('a', call), () => bucket.put('a', x, call)])
    expect(await refused(ask())).toMatchObject({
      code: 'store-misconfigured',
      facts: { rightRegion: 'ap-southeast-1', status: 301 },
    });
});

test('scenario 15: a missing bucket is named, and never taken for a missing object', async () => {
  const bucket = await driverOn(server, 'no-such-bucket');
  for (const [what, ask] of each)
    expect((await refused(ask(bucket))).toDocument(), what).toMatchObject({
      code: 'store-misconfigured',
      message: "there is no bucket 'no-such-bucket' at this store",
      facts: { bucket: 'no-such-bucket', storeCode: 'NoSuchBucket' },
    });
});

test('scenario 15: a clock that is off is named with both clocks, may pass, and the next request allows for it', async () => {
  const bucket = await driverOn(server, name);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
  onTestFinished(() => void vi.useRealTimers());
  const error = await refused(bucket.list('', undefined, call));
  expect(error).toMatchObject({ code: 'clock-skew', permanent: false });
  const { ourClock, storeClock } = error.facts as Record<'ourClock' | 'storeClock', string>;
  expect(Math.round((Date.parse(ourClock) - Date.parse(storeClock)) / 60_000)).toBe(60);
  expect(await bucket.head('a', call)).toBeUndefined();
  expect((await bucket.inspect('', call)).clockAheadSeconds).toBeCloseTo(-3600, -1);
});

test('scenario 15: a store that refuses the bucket in the path says what to set', async () => {
  const network = await networkBefore(server);
  const text = 'The bucket you are attempting to access must be addressed using OSS third level domain.';
  const body = xmlError('SecondLevelDomainForbidden', text);
  network.rules.push({ mishap: { kind: 'answer', status: 403, body } });
  const bucket = await driverOn(server, name, { endpoint: network.endpoint });
  expect((await refused(bucket.list('', undefined, call))).toDocument()).toMatchObject({
    code: 'store-misconfigured',
    hint: 'Set `pathStyle: false`: this store wants the bucket in the host name.',
  });
});

test('scenario 15: a store without a host name for the bucket says what to set', async () => {
  // Some resolvers answer every name below localhost: so the error is what Node makes of one that does not.
  const config = server.config(name, { endpoint: 'http://localhost:1', pathStyle: false });
  const unknown = Object.assign(new Error('getaddrinfo ENOTFOUND'), {
    code: 'ENOTFOUND',
    hostname: `${name}.localhost`,
  });
  expect(await translated(unknown, { key: 'a', signal: call.signal, config })).toMatchObject({
    code: 'store-misconfigured',
    hint: 'Set `pathStyle: true`, or check the name of the bucket.',
  });
  const other = Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND', hostname: 'localhost' });
  expect(await translated(other, { key: 'a', signal: call.signal, config })).toMatchObject({
    code: 'store-unreachable',
  });
});

test('a read-only key reads and lists, and each write says that its rights do not suffice', async () => {
  await (await driverOn(server, name)).put('readable', x, call);
  const bucket = await driverOn(server, name, { env: server.env(server.reader) });
  expect((await bucket.list('readable', undefined, call)).objects).toEqual([{ key: 'readable', bytes: 1 }]);
  expect(await bucket.head('readable', call)).toMatchObject({ bytes: 1 });
  for (const ask of [
    () => bucket.put('a', x, call),
    () => bucket.put('a', Buffer.alloc(8 << 20), call),
    () => bucket.begin('a', call),
    () => bucket.remove('readable', call),
  ])
    expect(await refused(ask())).toMatchObject({
      code: 'store-denied',
      permanent: true,
      facts: { status: 403, storeCode: 'AccessDenied' },
    });
});

test('a wrong secret and an unknown key are told apart, whatever is asked, and neither is in the error', async () => {
  const { accessKeyId, secretAccessKey } = server.root;
  const wrong = { accessKeyId, secretAccessKey: 'quite-another-secret' };
  const unknown = { accessKeyId: 'nobodys-key', secretAccessKey };
  for (const [keys, storeCode] of [
    [wrong, 'SignatureDoesNotMatch'],
    [unknown, 'InvalidAccessKeyId'],
  ] as const) {
    const bucket = await driverOn(server, name, { env: server.env(keys) });
    for (const [what, ask] of each) {
      const error = await refused(ask(bucket));
      expect(error, what).toMatchObject({ code: 'store-denied', facts: { storeCode } });
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(keys.secretAccessKey);
      expect(inspect(error, { depth: 9 })).not.toContain('AWS4-HMAC-SHA256');
    }
  }
});

test('a certificate that nobody trusts is named; with its authority under `ca` the store is used', async () => {
  const secure = await startS3Server({ tls: true });
  onTestFinished(() => secure.close());
  const own = await secure.bucket();
  const bucket = await openS3Bucket(secure.config(own), { env: secure.env() });
  await bucket.put('a', Buffer.alloc(1 << 20), call);
  expect(await bucket.head('a', call)).toMatchObject({ bytes: 1 << 20 });

  const trusting = await openS3Bucket(secure.config(own, { ca: undefined }), { env: secure.env() });
  for (const ask of [() => trusting.head('a', call), () => trusting.put('b', x, call)])
    expect((await refused(ask())).toDocument()).toMatchObject({
      code: 'store-misconfigured',
      message: expect.stringContaining("the store's certificate is not trusted"),
      hint: 'Name the PEM file of its authority under `ca`.',
    });
  const missing = openS3Bucket(secure.config(own, { ca: '/no/such.pem' }), { env: secure.env() });
  expect(await refused(missing)).toMatchObject({ code: 'store-misconfigured', facts: { path: '/no/such.pem' } });
});

test('a port that speaks no TLS, one where nobody listens, and an answer that is not of S3 are named', async () => {
  const plain = await driverOn(server, name, { endpoint: server.endpoint.replace('http:', 'https:') });
  expect(await refused(plain.head('a', call))).toMatchObject({
    code: 'store-misconfigured',
    message: 'the store does not speak TLS at this address',
  });
  const nobody = await driverOn(server, name, { endpoint: 'http://127.0.0.1:1' });
  expect(await refused(nobody.head('a', call))).toMatchObject({
    code: 'store-unreachable',
    permanent: false,
    facts: { errno: 'ECONNREFUSED' },
  });
  const network = await networkBefore(server);
  network.rules.push({ mishap: { kind: 'answer', status: 200, body: '<html>Please log in to the network</html>' } });
  const portal = await driverOn(server, name, { endpoint: network.endpoint });
  const asks = each.filter(([what]) => what !== 'remove' && what !== 'inspect');
  for (const [what, ask] of asks) expect(await refused(ask(portal)), what).toMatchObject({ code: 'store-unreachable' });
});

test.each([
  ['SlowDown', 503],
  ['RequestTimeout', 400],
  ['ConditionalRequestConflict', 409],
  ['BadDigest', 400],
  ['InternalError', 200],
])('%s with status %d may pass', async (code, status) => {
  const network = await networkBefore(server);
  network.rules.push({
    method: 'POST',
    mishap: { kind: 'answer', status, body: xmlError(code, 'not now'), headers: { 'retry-after': '7' } },
  });
  const bucket = await driverOn(server, name, { endpoint: network.endpoint });
  const receipt = { number: 1, bytes: 1, etag: '"9dd4e461268c8034f5c8564e155c67a6"', checksum: 'crc32:jNy9Bg==' };
  expect(await refused(bucket.complete('a', 'upload', [receipt], call))).toMatchObject({
    code: 'store-unreachable',
    permanent: false,
    facts: { storeCode: code, retryAfterSeconds: 7, requestId: expect.anything() },
  });
});
