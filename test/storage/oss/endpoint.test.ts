import { expect, test } from 'vitest';
import { endpointOf, stsAddress } from '../../../storage/oss/endpoint.ts';
import { call, driverOn, ossServer } from './support.ts';

const region = 'cn-hangzhou';

test('an endpoint is a word, or an address', () => {
  const address = (endpoint: Parameters<typeof endpointOf>[0]['endpoint'], cname = false) =>
    endpointOf({ endpoint, region, cname }).address;
  expect(address('public')).toBe('https://oss-cn-hangzhou.aliyuncs.com');
  expect(address('internal')).toBe('https://oss-cn-hangzhou-internal.aliyuncs.com');
  expect(address('accelerate')).toBe('https://oss-accelerate.aliyuncs.com');
  expect(address('https://backup.example.com/', true)).toBe('https://backup.example.com');
});

test('a region may be written with the name of the service before it', () => {
  expect(endpointOf({ endpoint: 'public', region: 'oss-cn-hangzhou', cname: false })).toEqual(
    endpointOf({ endpoint: 'public', region, cname: false }),
  );
});

test('STS is asked in the region of the bucket, from inside by the internal network', () => {
  expect(stsAddress({ endpoint: 'public', region })).toBe('https://sts.cn-hangzhou.aliyuncs.com');
  expect(stsAddress({ endpoint: 'internal', region })).toBe('https://sts-vpc.cn-hangzhou.aliyuncs.com');
});

test('a domain that is bound to the bucket is used as it is, and holds every key', async () => {
  const server = await ossServer({ cname: 'localhost' });
  const bucket = await driverOn(server, { config: { endpoint: `http://localhost:${server.port}`, cname: true } });
  for (const key of ['a/b.c_d-e', 'z/00000001000000000000000A-9f.zst.enc'])
    await bucket.put(key, Buffer.from('x'), call);
  expect((await bucket.list('', undefined, call)).objects.map(({ key }) => key)).toEqual([
    'a/b.c_d-e',
    'z/00000001000000000000000A-9f.zst.enc',
  ]);
});

test('keys that others have put into the bucket are listed as they are', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  const keys = ['a b', 'a&b', 'a+b', 'a%2Fb', 'a\tb', 'a<b>', 'ä/日本', 'a\u0001b', "it's(*)!"];
  for (const key of keys) await bucket.put(key, Buffer.from(key), call);
  const { objects } = await bucket.list('', undefined, call);
  expect(objects.map(({ key }) => key).sort()).toEqual([...keys].sort());
  for (const key of keys) expect(await bucket.head(key, call)).toMatchObject({ bytes: Buffer.byteLength(key) });
});
