import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BucketConfig } from '../../core/config.ts';
import { readmeText } from '../../repository/readme.ts';
import { initRepository, openRepository } from '../../repository/repository.ts';
import { readBytes } from '../../storage/bytes.ts';
import { openStore } from '../../storage/open.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { type OssServer, startOssServer } from '../support/oss-server/server.ts';

let server: OssServer;
let env: NodeJS.ProcessEnv;
let prefixes = 0;
beforeAll(async () => {
  server = await startOssServer();
  const { accessKeyId, accessKeySecret } = server.credentials;
  env = { OSS_ACCESS_KEY_ID: accessKeyId, OSS_ACCESS_KEY_SECRET: accessKeySecret };
});
afterAll(() => server?.close());

function newPlace(more: Partial<BucketConfig> = {}): BucketConfig {
  prefixes += 1;
  return {
    type: 'oss',
    bucket: server.bucket.name,
    region: server.region,
    prefix: `fleet-${prefixes}/pgproof/`,
    endpoint: server.endpoint,
    cname: false,
    limits: { parallel: 8 },
    ...more,
  } as BucketConfig;
}

async function keysIn(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

test('a repository is made below a prefix without objects, and made again changes nothing', async () => {
  const place = newPlace();
  await expect(openRepository('offsite', place, { env })).rejects.toMatchObject({
    code: 'repository-missing',
    exitCode: 2,
  });
  const { id, location, store, config } = await initRepository('offsite', place, { env });
  expect(location).toBe(`oss://${server.bucket.name}/fleet-${prefixes}/pgproof`);
  expect(config).toBe(place);
  expect(await keysIn(store)).toEqual(['README.txt', 'pgproof-repository.json']);
  expect((await readBytes(store, 'README.txt', { maxBytes: 1 << 20 })).toString()).toBe(readmeText);
  expect((await initRepository('offsite', place, { env })).id).toBe(id);
  expect((await openRepository('offsite', place, { env })).id).toBe(id);
});

test('an init that was killed half way is finished by the next', async () => {
  const place = newPlace();
  const { store } = await initRepository('offsite', place, { env });
  await store.remove('README.txt');
  await initRepository('offsite', place, { env });
  expect(await keysIn(store)).toContain('README.txt');
});

test('a prefix with foreign objects is refused and stays as it is; what lies beside it does not matter', async () => {
  const place = newPlace();
  const beside = await openStore({ ...place, prefix: place.prefix.replace('pgproof/', 'pgproof-2/') }, { env });
  await beside.create('notes.txt', Buffer.from('mine'));
  await initRepository('offsite', place, { env });

  for (const [key, text] of [
    ['notes.txt', 'mine'],
    ['pgproof-repository.json', 'not json'],
  ] as const) {
    const taken = newPlace();
    const store = await openStore(taken, { env });
    await store.create(key, Buffer.from(text));
    for (const attempt of [openRepository, initRepository])
      await expect(attempt('offsite', taken, { env })).rejects.toMatchObject({ code: 'repository-foreign' });
    expect(await keysIn(store)).toEqual([key]);
  }
});

test('a missing bucket, the wrong region, no credentials and unknown ones are named before anything is done', async () => {
  const refusal = async (place: BucketConfig, credentials = env) =>
    initRepository('offsite', place, { env: credentials }).catch((error: unknown) => error);
  expect(await refusal(newPlace({ bucket: 'not-there' }))).toMatchObject({
    code: 'store-misconfigured',
    exitCode: 2,
    message: expect.stringContaining("'not-there'"),
  });
  expect(await refusal(newPlace({ region: 'cn-beijing' }))).toMatchObject({
    code: 'store-misconfigured',
    hint: expect.stringContaining(server.region),
  });
  expect(await refusal(newPlace(), {})).toMatchObject({ code: 'credentials-missing', exitCode: 2 });
  const unknown = { OSS_ACCESS_KEY_ID: 'LTAI0000000000000000', OSS_ACCESS_KEY_SECRET: 'x' };
  expect(await refusal(newPlace(), unknown)).toMatchObject({ code: 'store-denied' });
});
