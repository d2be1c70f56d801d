import { expect, onTestFinished, test } from 'vitest';
import type { Repository } from '../../repository/repository.ts';
import { openBucketStore } from '../../storage/bucket/store.ts';
import { faulty } from '../../storage/fault.ts';
import { openBucket } from '../../storage/open.ts';
import { ossServer, storeOn } from '../storage/oss/support.ts';
import { startS3Server } from '../support/s3-server.ts';
import { backups, contentOf, copy, keyOf, listed, newPlace, openTwo, through } from './support.ts';

/** A bucket, whose objects of more than one piece go up in parts. */
async function bucket(name: string): Promise<{ repository: Repository; unfinished(): number }> {
  const server = await ossServer();
  const store = await storeOn(server);
  const repository = { ...(await newPlace(name)), store, location: `oss://${server.bucket.name}` };
  return { repository, unfinished: () => server.bucket.uploads.size };
}

test('a bucket holds the same bytes as the folder that was copied there, and a folder those of the bucket', async () => {
  const two = await openTwo();
  const { repository: to, unfinished } = await bucket('bucket');
  expect(await copy({ ...two, to })).toMatchObject({
    outcome: 'complete',
    error: null,
    lag: { segments: 0, backups: 0 },
  });
  expect(await contentOf(to)).toEqual(await contentOf(two.from));
  expect(unfinished()).toBe(0);
  expect(await copy({ ...two, to })).toMatchObject({ copied: { objects: 0 } });

  const back = await newPlace('back');
  expect(await copy({ ...two, from: to, to: back })).toMatchObject({ outcome: 'complete' });
  expect(await contentOf(back)).toEqual(await contentOf(two.from));
  expect(await listed(back, two.keys)).toEqual(backups);
});

if (process.env.PGPROOF_TEST_FULL)
  test('so does a bucket of an S3 server', async () => {
    const server = await startS3Server();
    onTestFinished(() => server.close());
    const config = server.config(await server.bucket());
    const store = openBucketStore(await openBucket(config, { env: server.env() }), { prefix: 'copies/' });
    const two = await openTwo();
    const to = { ...(await newPlace('s3')), store };
    expect(await copy({ ...two, to })).toMatchObject({
      outcome: 'complete',
      error: null,
      backups: backups.toReversed(),
    });
    expect(await contentOf(to)).toEqual(await contentOf(two.from));
    expect(await copy({ ...two, to })).toMatchObject({ copied: { objects: 0 } });
  });

test('two copies at once into a bucket that refuses no second object end as one', async () => {
  const two = await openTwo();
  const server = await ossServer();
  server.bucket.versioning = 'Enabled';
  const to = { ...(await newPlace('bucket')), store: await storeOn(server) };
  const results = await Promise.all([copy({ ...two, to }), copy({ ...two, to })]);
  for (const result of results) expect(result).toMatchObject({ outcome: 'complete', error: null });
  expect(await contentOf(to)).toEqual(await contentOf(two.from));
  expect(await listed(to, two.keys)).toEqual(backups);
});

test('a source that breaks off, or gives other bytes, leaves neither an object in the bucket nor an upload', async () => {
  const two = await openTwo();
  const { repository: to, unfinished } = await bucket('bucket');
  const key = await keyOf(two.from, /c12\/pgdata\.1/);
  for (const fault of [{ kind: 'truncate', bytes: 200_000 } as const, { kind: 'flip', at: 200_000 } as const]) {
    const store = faulty(two.from.store, [{ on: 'read', key: /c12\/pgdata\.1/, fault }]);
    const result = await copy({ ...two, from: through(two.from, store), to });
    expect(result.refused).toMatchObject([{ key, code: 'object-damaged' }, { code: 'backup-unverified' }]);
    expect(Object.keys(await contentOf(to))).not.toContain(key);
    expect(unfinished()).toBe(0);
  }
  expect(await listed(to, two.keys)).toEqual([backups[0]]);
});
