import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import OSS from 'ali-oss';
import { expect, test } from 'vitest';
import type { OssServer } from '../../support/oss-server/server.ts';
import { assertSignature, claimOf, signature } from '../../support/oss-server/signature.ts';
import { call, driverOn, ossServer } from './support.ts';

/*
 * The test server itself: what it is strict about. The three signatures are those that Alibaba Cloud's own SDKs publish with
 * their tests (Go, PHP, Swift, C++ have the same).
 */
test('published signatures of version 4 are accepted, and no other', () => {
  const query = new Map([
    ['param1', 'value1'],
    ['+param1', 'value3'],
    ['|param1', 'value4'],
    ['+param2', ''],
    ['|param2', ''],
    ['param2', ''],
  ]);
  const headers = { 'x-oss-head1': 'value', abc: 'value', zabc: 'value', xyz: 'value', 'content-type': 'text/plain' };
  const vectors = [
    ['20231216T162057Z', {}, '', 'e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe'],
    [
      '20231217T034736Z',
      { 'x-oss-security-token': 'token' },
      '',
      'b94a3f999cf85bcdc00d332fbd3734ba03e48382c36fa4d5af5df817395bd9ea',
    ],
    [
      '20231216T172512Z',
      {},
      'AdditionalHeaders=abc;zabc,',
      '4a4183c187c07c8947db7620deb0a6b38d9fbdd34187b6dbaccb316fa251212f',
    ],
  ] as const;
  for (const [date, more, additional, published] of vectors) {
    const scope = `${date.slice(0, 8)}/cn-hangzhou/oss/aliyun_v4_request`;
    const signed = (value: string) => ({
      method: 'PUT',
      bucket: 'bucket',
      key: '1234+-/123/1.txt',
      query,
      headers: new Map(
        Object.entries({
          ...headers,
          ...more,
          'x-oss-content-sha256': 'UNSIGNED-PAYLOAD',
          'x-oss-date': date,
          authorization: `OSS4-HMAC-SHA256 Credential=ak/${scope},${additional}Signature=${value}`,
        }),
      ),
    });
    const good = signed(published);
    expect(() => assertSignature(good, claimOf(good), 'sk')).not.toThrow();
    expect(() => assertSignature(good, claimOf(good), 'ks')).toThrow();
    const bad = signed(published.replace('4', '5'));
    expect(() => assertSignature(bad, claimOf(bad), 'sk')).toThrow();
  }
});

type Reply = { status: number; code: string | undefined; text: string };

function ask(server: OssServer, path: string, headers: Record<string, string>, method = 'GET'): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sending = request(server.endpoint + path, { method, headers }, async (response) => {
      const body = await text(response);
      resolve({ status: response.statusCode as number, code: /<Code>(.*?)<\/Code>/.exec(body)?.[1], text: body });
    });
    sending.on('error', reject);
    sending.end();
  });
}

const home = { host: 'pgproof-test.oss-cn-hangzhou.aliyuncs.com' };

test('unsigned requests, other signatures, and buckets in the path are refused', async () => {
  const server = await ossServer();
  await (await driverOn(server)).put('a', Buffer.from('x'), call);
  expect(await ask(server, '/a', home)).toMatchObject({ status: 403, code: 'AccessDenied' });
  expect(await ask(server, '/a', { ...home, authorization: 'OSS id:c2ln' })).toMatchObject({ code: 'InvalidArgument' });
  const service = { host: 'oss-cn-hangzhou.aliyuncs.com' };
  expect(await ask(server, '/pgproof-test/a', service)).toMatchObject({
    status: 403,
    code: 'SecondLevelDomainForbidden',
  });
  expect(await ask(server, '/pgproof-test/a', {})).toMatchObject({ status: 403, code: 'NonStandardHostForbidden' });
});

test('a signed address works until it expires, and for what it was signed', async () => {
  const server = await ossServer();
  await (await driverOn(server)).put('a', Buffer.from('x'), call);
  const { accessKeyId, accessKeySecret } = server.credentials;
  const client = new OSS({
    accessKeyId,
    accessKeySecret,
    bucket: server.bucket.name,
    region: 'oss-cn-hangzhou',
    endpoint: server.endpoint,
    authorizationV4: true,
  });
  const { pathname, search } = new URL(await client.signatureUrlV4('GET', 60, { headers: {} }, 'a', []));
  expect(await ask(server, pathname + search, home)).toMatchObject({ status: 200, text: 'x' });
  expect(await ask(server, `/b${search}`, home)).toMatchObject({ code: 'SignatureDoesNotMatch' });
  expect(await ask(server, pathname + search, home, 'DELETE')).toMatchObject({ code: 'SignatureDoesNotMatch' });
  server.clockAheadMs = 61_000;
  expect(await ask(server, pathname + search, home)).toMatchObject({ status: 403, code: 'AccessDenied' });
});

/** A request in the header form that may say what the SDK never would. */
function signedBy(server: OssServer, path: string, more: Record<string, string>, method = 'GET'): Promise<Reply> {
  const { accessKeyId, accessKeySecret } = server.credentials;
  const date = `${new Date().toISOString().replace(/[-:]|\.\d+/g, '')}`;
  const signDate = date.slice(0, 8);
  const headers: Record<string, string> = { ...more, 'x-oss-content-sha256': 'UNSIGNED-PAYLOAD', 'x-oss-date': date };
  const canonical = Object.keys(headers)
    .filter((name) => name.startsWith('x-oss-') || name === 'content-md5' || name === 'content-type')
    .sort()
    .map((name) => `${name}:${headers[name]}\n`)
    .join('');
  const [pathname, query = ''] = path.split('?');
  const whole = [method, `/${server.bucket.name}${pathname}`, query, canonical, '', 'UNSIGNED-PAYLOAD'].join('\n');
  const scope = `${signDate}/cn-hangzhou/oss/aliyun_v4_request`;
  const toSign = ['OSS4-HMAC-SHA256', date, scope, createHash('sha256').update(whole).digest('hex')].join('\n');
  const value = signature(toSign, { signDate, region: 'cn-hangzhou' }, accessKeySecret);
  const authorization = `OSS4-HMAC-SHA256 Credential=${accessKeyId}/${scope},Signature=${value}`;
  return ask(server, path, { ...home, ...headers, authorization }, method);
}

test('a bad range answers everything, unless the standard is asked for', async () => {
  const server = await ossServer();
  await (await driverOn(server)).put('a', Buffer.from('0123456789'), call);
  const standard = { 'x-oss-range-behavior': 'standard' };
  const get = (range: string, more = {}) => signedBy(server, '/a', { range, ...more });
  expect(await get('bytes=2-4')).toMatchObject({ status: 206, text: '234' });
  expect(await get('bytes=8-12')).toMatchObject({ status: 200, text: '0123456789' });
  expect(await get('bytes=8-12', standard)).toMatchObject({ status: 206, text: '89' });
  expect(await get('bytes=10-12')).toMatchObject({ status: 200, text: '0123456789' });
  expect(await get('bytes=10-12', standard)).toMatchObject({ status: 416, code: 'InvalidRange' });
});

test('wrong digests, part numbers, listings and encryption of parts are refused', async () => {
  const server = await ossServer();
  const md5 = { 'content-md5': createHash('md5').update('other').digest('base64'), 'content-length': '0' };
  expect(await signedBy(server, '/a', md5, 'PUT')).toMatchObject({ status: 400, code: 'InvalidDigest' });
  expect(server.bucket.keys()).toEqual([]);
  const upload = await (await driverOn(server)).begin('a', call);
  const empty = { 'content-length': '0' };
  for (const number of ['0', '10001', 'x'])
    expect(await signedBy(server, `/a?partNumber=${number}&uploadId=${upload}`, empty, 'PUT')).toMatchObject({
      code: 'InvalidArgument',
    });
  const sse = { ...empty, 'x-oss-server-side-encryption': 'AES256' };
  expect(await signedBy(server, `/a?partNumber=1&uploadId=${upload}`, sse, 'PUT')).toMatchObject({
    code: 'InvalidArgument',
  });
  expect(await signedBy(server, '/?list-type=2&max-keys=1001', {})).toMatchObject({ code: 'InvalidArgument' });
});

test('parts that are too small, missing, unordered or of another etag make no object', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  const upload = await bucket.begin('a', call);
  const small = await bucket.putPart('a', upload, 1, Buffer.alloc(1000), call);
  const last = await bucket.putPart('a', upload, 2, Buffer.alloc(1000), call);
  const complete = (receipts: (typeof small)[]) => bucket.complete('a', upload, receipts, call);
  await expect(complete([small, last])).rejects.toMatchObject({ facts: { storeCode: 'EntityTooSmall' } });
  await expect(complete([{ ...small, number: 3 }])).rejects.toMatchObject({ facts: { storeCode: 'InvalidPart' } });
  await expect(complete([{ ...small, etag: '"F"' }])).rejects.toMatchObject({ facts: { storeCode: 'InvalidPart' } });
  await expect(complete([])).rejects.toMatchObject({ facts: { storeCode: 'MalformedXML' } });
  expect(server.bucket.keys()).toEqual([]);
  await complete([small]);
});
