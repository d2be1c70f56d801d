import { afterAll, beforeAll } from 'vitest';
import type { Bucket } from '../../storage/bucket/bucket.ts';
import { openBucketStore } from '../../storage/bucket/store.ts';
import { openS3Bucket } from '../../storage/s3/bucket.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { startS3Server, type TestS3 } from '../support/s3-server.ts';
import { describeObjectStore } from './contract.ts';

/** The least that S3 allows for a part which is not the last. */
const pieceBytes = 5 << 20;

let server: TestS3;
let bucket: Bucket;
const prefixes = new WeakMap<ObjectStore, string>();
let count = 0;

beforeAll(async () => {
  server = await startS3Server();
  bucket = await openS3Bucket(server.config(await server.bucket()), { env: server.env() });
});
afterAll(async () => server.close());

function open(): ObjectStore {
  count += 1;
  const prefix = `repositories/r-${count}/`;
  const store = openBucketStore(bucket, { prefix, pieceBytes });
  prefixes.set(store, prefix);
  return store;
}

async function unfinished(store: ObjectStore): Promise<string[]> {
  const { uploads } = await bucket.uploads(prefixes.get(store) as string, undefined, {
    signal: AbortSignal.timeout(60_000),
  });
  return uploads.map(({ key }) => key);
}

describeObjectStore('S3', open, { largeBytes: 3 * pieceBytes + 1_000_003, unfinished });
