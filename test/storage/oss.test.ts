import { afterAll, beforeAll } from 'vitest';
import type { OssConfig } from '../../core/config.ts';
import { openBucketStore } from '../../storage/bucket/store.ts';
import { openBucket } from '../../storage/open.ts';
import { type OssServer, startOssServer } from '../support/oss-server/server.ts';
import { describeObjectStore, type Traits } from './contract.ts';
import { pieceBytes, storeOn } from './oss/support.ts';

let server: OssServer;
let versioned: OssServer;
let stores = 0;

beforeAll(async () => {
  server = await startOssServer();
  versioned = await startOssServer();
  versioned.bucket.versioning = 'Enabled';
});
afterAll(async () => {
  await server.close();
  await versioned.close();
});

const traits: Traits = { largeBytes: 4 * pieceBytes + 5 };

const unfinishedOn = async (on: OssServer) => [...on.bucket.uploads.values()].map(({ key }) => key);

const freshPrefix = () => `store-${++stores}/`;

describeObjectStore('OSS', () => storeOn(server, { config: { prefix: freshPrefix() } }), {
  ...traits,
  unfinished: () => unfinishedOn(server),
});

// It ignores the condition of a put, so that each one is preceded by a look.
if (process.env.PGPROOF_TEST_FULL)
  describeObjectStore('versioned OSS', () => storeOn(versioned, { config: { prefix: freshPrefix() } }), {
    ...traits,
    conditional: false,
    unfinished: () => unfinishedOn(versioned),
  });

const { PGPROOF_TEST_OSS_BUCKET: bucket, PGPROOF_TEST_OSS_REGION: region, PGPROOF_TEST_OSS_ENDPOINT } = process.env;

if (bucket !== undefined && region !== undefined) {
  const run = `pgproof-test-${Date.now()}/`;
  const open = async (prefix: string) => {
    const config: OssConfig = {
      type: 'oss',
      bucket,
      region,
      prefix,
      endpoint: PGPROOF_TEST_OSS_ENDPOINT ?? 'public',
      cname: false,
      limits: { parallel: 8 },
    };
    return openBucketStore(await openBucket(config), { prefix, pieceBytes });
  };
  afterAll(async () => {
    const all = await open(run);
    for await (const { key } of all.list('')) await all.remove(key);
  });
  describeObjectStore(`real OSS bucket '${bucket}'`, () => open(run + freshPrefix()), traits);
}
