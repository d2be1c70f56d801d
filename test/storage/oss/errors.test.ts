import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import type { PgproofError } from '../../../core/errors.ts';
import type { Bucket } from '../../../storage/bucket/bucket.ts';
import { openOssBucket } from '../../../storage/oss/bucket.ts';
import { Connections, Exchange } from '../../../storage/oss/transport.ts';
import type { RamPolicy } from '../../support/oss-server/policy.ts';
import { tempDir } from '../../support/temp.ts';
import { call, configOf, driverOn, envOf, ossServer } from './support.ts';

const x = Buffer.from('x');

async function refused(promise: Promise<unknown>): Promise<PgproofError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: PgproofError) => ({ error }),
  );
  if ('value' in outcome) throw new Error(`it succeeded: ${JSON.stringify(outcome.value)}`);
  return outcome.error;
}

/** One request of each kind that people meet first. */
const each: [string, (bucket: Bucket) => Promise<unknown>][] = [
  ['put', (bucket) => bucket.put('a', x, call)],
  ['begin', (bucket) => bucket.begin('a', call)],
  ['head', (bucket) => bucket.head('a', call)],
  ['get', (bucket) => bucket.get('a', undefined, call)],
  ['list', (bucket) => bucket.list('', undefined, call)],
  ['remove', (bucket) => bucket.remove('a', call)],
  ['inspect', (bucket) => bucket.inspect('', call)],
];

test('scenario 15: a wrong region is named with the right one, whatever is asked', async () => {
  const server = await ossServer({ region: 'cn-hangzhou' });
  const bucket = await driverOn(server, { config: { region: 'cn-beijing' } });
  for (const [name, ask] of each) {
    expect((await refused(ask(bucket))).toDocument(), name).toMatchObject({
      code: 'store-misconfigured',
      message: "bucket 'pgproof-test' is in region 'cn-hangzhou', not in 'cn-beijing'",
      facts: { region: 'cn-hangzhou', status: 403, storeCode: 'AccessDenied' },
      hint: 'Set `region: cn-hangzhou`.',
    });
  }
});

test('scenario 15: a wrong region behind a domain of our own is named as wrong', async () => {
  const server = await ossServer({ cname: 'localhost' });
  const config = { endpoint: `http://localhost:${server.port}`, cname: true, region: 'cn-beijing' };
  expect((await refused((await driverOn(server, { config })).list('', undefined, call))).toDocument()).toMatchObject({
    code: 'store-misconfigured',
    message: "region 'cn-beijing' is not that of bucket 'pgproof-test'",
    facts: { ec: '0002-00000226' },
  });
});

test('scenario 15: a clock that is off is named with both clocks; a quarter of an hour is allowed', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  server.clockAheadMs = 14 * 60_000;
  await bucket.put('a', x, call);
  for (const [minutes, direction] of [
    [16, 'behind'],
    [-16, 'ahead of'],
  ] as const) {
    server.clockAheadMs = minutes * 60_000;
    const { code, message, facts, hint, permanent } = await refused(bucket.head('a', call));
    expect({ code, permanent }).toEqual({ code: 'clock-skew', permanent: false });
    expect(message).toContain(`${direction} that of OSS`);
    expect(Math.round(Number(facts.skewSeconds) / 10)).toBe(-minutes * 6);
    const clocks = Date.parse(String(facts.storeTime)) - Date.parse(String(facts.ourTime));
    expect(Math.round(clocks / 60_000)).toBe(minutes);
    expect(hint).toContain('NTP');
  }
});

test('scenario 15: an expired token is named, may pass, and is not in the error', async () => {
  const server = await ossServer();
  const credentials = server.identities.addSession(new Date(Date.now() - 1000));
  const error = await refused((await driverOn(server, { credentials })).put('a', x, call));
  expect(error).toMatchObject({ code: 'credentials-expired', permanent: false });
  expect(error.facts).toMatchObject({ status: 403, storeCode: 'SecurityTokenExpired' });
});

test('an unknown key, a wrong secret and a wrong token are told apart, and none of them is in the error', async () => {
  const server = await ossServer();
  const session = server.identities.addSession(new Date(Date.now() + 3_600_000));
  const { credentials } = server;
  const cases = [
    [{ ...credentials, accessKeyId: 'LTAInobody' }, 'OSS does not know the access key'],
    [{ ...credentials, accessKeySecret: 'not-the-secret' }, 'the secret does not belong to the access key'],
    [{ ...session, accessKeySecret: 'not-the-secret' }, 'the secret does not belong to the access key'],
    [{ ...session, securityToken: 'not-the-token' }, 'the temporary credentials are not valid any more'],
  ] as const;
  for (const [used, message] of cases) {
    const error = await refused((await driverOn(server, { credentials: used })).put('a', x, call));
    expect(error.message).toBe(message);
    const all = inspect(error, { depth: 20 }) + JSON.stringify(error.toDocument());
    for (const secret of [used.accessKeySecret, 'securityToken' in used ? used.securityToken : 'not-the-secret'])
      expect(all).not.toContain(secret);
    expect(all).not.toContain('x-oss-security-token');
  }
});

test('a missing bucket is not a missing object', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server, { config: { bucket: 'nobody-has-this' } });
  for (const [name, ask] of each) {
    expect((await refused(ask(bucket))).toDocument(), name).toMatchObject({
      code: 'store-misconfigured',
      message: "there is no bucket 'nobody-has-this'",
      facts: { storeCode: 'NoSuchBucket' },
    });
  }
});

test('what a refused HEAD does not say is asked for', async () => {
  const server = await ossServer({ muteHead: true });
  const bucket = await driverOn(server);
  expect(await bucket.head('a', call)).toBeUndefined();
  await bucket.put('a', x, call);
  expect(await bucket.head('a', call)).toMatchObject({ bytes: 1 });
  const nobody = await driverOn(server, { config: { bucket: 'nobody-has-this' } });
  expect(await refused(nobody.head('a', call))).toMatchObject({ facts: { storeCode: 'NoSuchBucket' } });
  const elsewhere = await driverOn(server, { config: { region: 'cn-beijing' } });
  expect(await refused(elsewhere.put('b', x, call))).toMatchObject({ facts: { region: 'cn-hangzhou' } });
});

test('a key that may only read is named with the right it lacks, and reads', async () => {
  const server = await ossServer();
  await (await driverOn(server)).put('backups/a', x, call);
  const policy: RamPolicy = {
    Version: '1',
    Statement: [
      { Effect: 'Allow', Action: ['oss:GetObject'], Resource: ['acs:oss:*:*:pgproof-test/backups/*'] },
      { Effect: 'Allow', Action: 'oss:ListObjects', Resource: 'acs:oss:*:*:pgproof-test' },
    ],
  };
  const bucket = await driverOn(server, { credentials: server.identities.addUser([policy]) });
  expect(await bucket.head('backups/a', call)).toMatchObject({ bytes: 1 });
  expect((await bucket.list('', undefined, call)).objects).toEqual([{ key: 'backups/a', bytes: 1 }]);
  expect((await refused(bucket.put('backups/b', x, call))).toDocument()).toMatchObject({
    code: 'store-denied',
    facts: { action: 'oss:PutObject', resource: 'acs:oss:*:*:pgproof-test/backups/b' },
    hint: expect.stringContaining('oss:PutObject'),
  });
  expect(await refused(bucket.remove('backups/a', call))).toMatchObject({
    code: 'store-denied',
    facts: { action: 'oss:DeleteObject' },
  });
});

test('a deny in a policy wins over every allow', async () => {
  const server = await ossServer();
  const policy: RamPolicy = {
    Version: '1',
    Statement: [
      { Effect: 'Allow', Action: '*', Resource: '*' },
      { Effect: 'Deny', Action: 'oss:DeleteObject', Resource: 'acs:oss:*:*:pgproof-test/*' },
    ],
  };
  const bucket = await driverOn(server, { credentials: server.identities.addUser([policy]) });
  await bucket.put('a', x, call);
  expect(await refused(bucket.remove('a', call))).toMatchObject({ code: 'store-denied' });
  expect(server.bucket.keys()).toEqual(['a']);
});

test('scenario 15: a domain that is not bound to the bucket is refused with what the setting means', async () => {
  const server = await ossServer();
  const config = { endpoint: `http://localhost:${server.port}`, cname: true };
  expect(await refused((await driverOn(server, { config })).head('a', call))).toMatchObject({
    code: 'store-misconfigured',
    facts: { storeCode: 'NonStandardHostForbidden' },
    hint: expect.stringContaining('cname'),
  });
});

test('a bucket that may not be used by its public endpoint says what to use instead', async () => {
  const server = await ossServer({ refusePublicEndpoint: true, cname: 'localhost' });
  expect(await refused((await driverOn(server)).put('a', x, call))).toMatchObject({
    code: 'store-misconfigured',
    facts: { storeCode: 'PublicEndpointForbidden', ec: '0048-00000401' },
    hint: expect.stringContaining('endpoint: internal'),
  });
  const own = { endpoint: `http://localhost:${server.port}`, cname: true };
  await (await driverOn(server, { config: own })).put('a', x, call);
});

test('an object that a rule has archived is not missing', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  await bucket.put('a', x, call);
  (server.bucket.versions('a')[0] as { storageClass: string }).storageClass = 'ColdArchive';
  expect(await refused(bucket.get('a', undefined, call))).toMatchObject({
    code: 'store-misconfigured',
    message: expect.stringContaining('archive class'),
  });
});

test('scenario 11: what may pass is store-unreachable, with what the store said', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  await bucket.put('a', x, call);
  for (const status of [408, 429, 500, 502, 503]) {
    for (const [name, ask] of each) {
      server.faults = [{ on: '*', times: 1, fault: { kind: 'status', status, retryAfter: 7 } }];
      expect((await refused(ask(bucket))).toDocument(), `${name} ${status}`).toMatchObject({
        code: 'store-unreachable',
        facts: { status, retryAfterSeconds: 7, requestId: expect.stringMatching(/^[0-9A-F]{24}$/) },
      });
    }
  }
  for (const [name, ask] of each) {
    server.faults = [{ on: '*', times: 1, fault: { kind: 'reset' } }];
    expect((await refused(ask(bucket))).toDocument(), name).toMatchObject({
      code: 'store-unreachable',
      facts: { errno: 'ECONNRESET' },
    });
  }
});

test('every request ends when its signal aborts, also one that is never answered', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  server.faults = [{ on: '*', fault: { kind: 'hang' } }];
  for (const [name, ask] of [
    ['put', (c) => bucket.put('a', Buffer.alloc(5_000_000), c)],
    ['begin', (c) => bucket.begin('a', c)],
    ['putPart', (c) => bucket.putPart('a', 'F'.repeat(32), 1, Buffer.alloc(5_000_000), c)],
    ['complete', (c) => bucket.complete('a', 'F'.repeat(32), [], c)],
    ['abort', (c) => bucket.abort('a', 'F'.repeat(32), c)],
    ['uploads', (c) => bucket.uploads('', undefined, c)],
    ['head', (c) => bucket.head('a', c)],
    ['get', (c) => bucket.get('a', undefined, c)],
    ['list', (c) => bucket.list('', undefined, c)],
    ['remove', (c) => bucket.remove('a', c)],
    ['inspect', (c) => bucket.inspect('', c)],
  ] satisfies [string, (c: typeof call) => Promise<unknown>][]) {
    const asked = server.seen.length;
    const abort = new AbortController();
    const asking = refused(ask({ signal: abort.signal }));
    await expect.poll(() => server.seen.length, { interval: 1 }).toBeGreaterThan(asked);
    abort.abort(new DOMException('over', 'TimeoutError'));
    expect(await asking, name).toMatchObject({ code: 'timeout' });
    expect(await refused(ask({ signal: abort.signal })), name).toMatchObject({ code: 'timeout' });
  }
});

test('a request on which nothing moves ends by itself, whether it is sent or answered', async () => {
  const server = await ossServer();
  server.faults = [{ on: '*', fault: { kind: 'hang' } }];
  const exchange = () => new Exchange(new Connections(), call.signal, 50);
  const headers = { host: 'pgproof-test.oss-cn-hangzhou.aliyuncs.com' };
  for (const request of [
    { method: 'GET', headers },
    { method: 'PUT', headers, content: Buffer.alloc(30_000_000) },
  ])
    await expect(exchange().request(`${server.endpoint}/a`, request)).rejects.toThrow('nothing moved for 0.05 s');
});

test('a body ends when its signal aborts, and its connection with it', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  await bucket.put('a', Buffer.alloc(20_000_000), call);
  server.faults = [{ on: 'GetObject', fault: { kind: 'slow' } }];
  const abort = new AbortController();
  const { body } = await bucket.get('a', undefined, { signal: abort.signal });
  body.once('data', () => abort.abort());
  expect(await refused(body.resume().toArray())).toMatchObject({ code: 'cancelled' });
});

test('names and addresses that are none of OSS are refused before anything is asked', async () => {
  const server = await ossServer();
  for (const config of [{ bucket: 'has.dots' }, { endpoint: 'http://[::1]:80' }] as const)
    expect(await refused(driverOn(server, { config }))).toMatchObject({ code: 'store-misconfigured', facts: config });
});

test('nobody who listens is store-unreachable', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  await server.close();
  expect(await refused(bucket.head('a', call))).toMatchObject({
    code: 'store-unreachable',
    facts: { errno: 'ECONNREFUSED' },
  });
});

test('something else that answers in the place of OSS is not believed', async () => {
  const portal = createServer((request, response) => {
    request.resume();
    response.end('<html>please log in</html>');
  });
  await new Promise<void>((resolve) => portal.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    portal.closeAllConnections();
    portal.close();
  });
  const server = await ossServer();
  const endpoint = `http://127.0.0.1:${(portal.address() as AddressInfo).port}`;
  const bucket = await driverOn(server, { config: { endpoint } });
  for (const [name, ask] of each) {
    if (name === 'remove' || name === 'inspect') continue;
    expect(await refused(ask(bucket)), name).toMatchObject({ code: 'store-misconfigured' });
  }
  expect(await refused(bucket.remove('a', call))).toMatchObject({ code: 'store-misconfigured' });
});

test('a certificate that is not trusted is refused, and accepted with its authority', async () => {
  const dir = tempDir('tls');
  const file = (name: string) => join(dir, name);
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', '/CN=test', '-addext', 'subjectAltName=DNS:*.oss-cn-hangzhou.aliyuncs.com'],
      ...['-keyout', file('key.pem'), '-out', file('cert.pem')],
    ],
    { stdio: 'ignore' },
  );
  const tls = { key: readFileSync(file('key.pem'), 'utf8'), cert: readFileSync(file('cert.pem'), 'utf8') };
  const server = await ossServer({ tls });
  expect(await refused((await driverOn(server)).put('a', x, call))).toMatchObject({
    code: 'store-misconfigured',
    facts: { errno: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
    hint: expect.stringContaining('`ca`'),
  });
  await (await driverOn(server, { config: { ca: file('cert.pem') } })).put('a', x, call);
  expect(server.bucket.keys()).toEqual(['a']);

  const other = { region: 'cn-beijing', ca: file('cert.pem') };
  expect(await refused((await driverOn(server, { config: other })).put('b', x, call))).toMatchObject({
    code: 'store-misconfigured',
    facts: { errno: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  });
  expect(
    await refused(openOssBucket(configOf(server, { ca: file('none.pem') }), { env: envOf(server.credentials) })),
  ).toMatchObject({
    code: 'store-misconfigured',
    facts: { errno: 'ENOENT' },
  });
});
