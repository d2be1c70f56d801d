import { afterAll, beforeAll } from 'vitest';
import { type BucketStore, openBucketStore } from '../../storage/bucket/store.ts';
import { faulty } from '../../storage/fault.ts';
import { openBucket } from '../../storage/open.ts';
import { describeObjectStore, type Traits } from './contract.ts';
import { type Server, servers } from './peers.ts';

/** S3 takes no smaller parts. */
const pieceBytes = 5 << 20;

/*
 * The contract through everything that is put around a driver, with little room, while the network refuses and cuts what is
 * asked for. (What is sent is not refused here: after that a store cannot tell its caller's object from another's with the
 * same content, so that creating it twice is a success. test/storage/outage.test.ts)
 */
const full = process.env.PGPROOF_TEST_FULL !== undefined;

for (const [name, start] of full ? servers : servers.filter(([server]) => server === 's3')) {
  let server: Server;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.close());

  const unfinished = new WeakMap<object, () => Promise<string[]>>();
  const open = async () => {
    const { config, env, network, prefix } = await server.open();
    network.rules.push(
      { method: 'GET', every: 5, mishap: { kind: 'status', status: 500 } },
      { method: 'GET', every: 7, mishap: { kind: 'reset' } },
      { method: 'GET', every: 3, mishap: { kind: 'cut', bytes: 100_000 } },
    );
    const bucket = await openBucket({ ...config, limits: { parallel: 2, upload: 2e9, download: 2e9 } }, { env });
    const store: BucketStore = openBucketStore(bucket, { prefix, pieceBytes, parallel: 2 });
    const decorated = faulty(store, []);
    unfinished.set(decorated, async () => {
      const page = await bucket.uploads(prefix, undefined, { signal: new AbortController().signal });
      return page.uploads.map(({ key }) => key);
    });
    return decorated;
  };
  const traits: Traits = {
    largeBytes: 3 * pieceBytes + 5,
    manyKeys: full ? 3000 : 300,
    unfinished: async (store) => (await unfinished.get(store)?.()) ?? ['not asked'],
  };
  describeObjectStore(`${name}, behind a bad network and everything that is put around it,`, open, traits);
}
