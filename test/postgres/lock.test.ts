import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { configSchema } from '../../core/config.ts';
import { holderText, withClusterLock } from '../../postgres/lock.ts';
import { alternate, type Cluster, startCluster } from '../support/postgres.ts';
import { until } from '../support/until.ts';

const [major] = alternate(0) as [string];
const id = '20261120T140501Z-full-3fa94c1e';
let server: Cluster;
let shop: Parameters<typeof withClusterLock>[0];

beforeAll(async () => {
  server = await startCluster({ major, settings: major === '13' ? {} : { idle_session_timeout: '200ms' } });
  await server.sql('CREATE ROLE pgproof LOGIN');
  const { clusters } = configSchema.parse({
    hosts: { 'db-7': {} },
    repositories: { local: { type: 'file', path: '/r' } },
    clusters: {
      shop: { host: 'db-7', connection: { socket: server.socketDir, port: server.port }, repositories: ['local'] },
    },
  });
  shop = { name: 'shop', host: 'db-7', config: clusters.shop! };
});
afterAll(() => server.dispose());

/** Takes the lock and holds it until told. */
async function hold(): Promise<{ release: () => void; done: Promise<string>; signal: AbortSignal }> {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: taken, resolve: took } = Promise.withResolvers<AbortSignal>();
  const done = withClusterLock(shop, { operation: 'backup', id }, async (signal) => {
    took(signal);
    await Promise.race([released, new Promise((resolve) => signal.addEventListener('abort', resolve))]);
    return 'done';
  });
  done.catch(() => {});
  return { release, done, signal: await taken };
}

test('the lock is held by one at a time, and the second is told by whom and since when', async () => {
  const first = await hold();
  const second = withClusterLock(
    { ...shop, name: 'shop-by-another-name' },
    { operation: 'backup', id },
    async () => 'in',
  );
  await expect(second).rejects.toMatchObject({
    code: 'cluster-busy',
    permanent: false,
    facts: {
      cluster: 'shop-by-another-name',
      holder: `pgproof backup ${id} on db-7 pid ${process.pid}`.slice(0, 63),
      pid: expect.any(Number),
      since: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    },
  });
  first.release();
  expect(await first.done).toBe('done');
  expect(await withClusterLock(shop, { operation: 'backup', id }, async () => 'in')).toBe('in');
});

test('an error of the work is the error, and the lock is free afterwards', async () => {
  const failing = withClusterLock(shop, { operation: 'backup', id }, async () => {
    throw new Error('copy failed');
  });
  await expect(failing).rejects.toThrow('copy failed');
  expect(await withClusterLock(shop, { operation: 'drill', id }, async () => 'in')).toBe('in');
});

test('a lost session aborts the work, and the lock is free for another', async () => {
  const holder = await hold();
  await server.sql(
    "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name LIKE 'pgproof backup%'",
  );
  // The connection has ended by now: many turns are more than enough to hear of it.
  for (let turn = 0; turn < 30 && !holder.signal.aborted; turn += 1) await sleep(50);
  expect(holder.signal.aborted).toBe(true);
  await expect(holder.done).rejects.toMatchObject({
    code: 'server-unreachable',
    message: 'the session that held the cluster lock was lost',
  });
  expect(holder.signal.reason).toMatchObject({ code: 'server-unreachable' });
  expect(await withClusterLock(shop, { operation: 'backup', id }, async () => 'in')).toBe('in');
});

test('a server that ends idle sessions does not end this one', async () => {
  const holder = await hold();
  const [{ n } = { n: 0 }] = await server.sql<{ n: number }>(
    "SELECT pg_sleep(0.6), count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory'",
  );
  expect(n).toBe(1);
  holder.release();
  expect(await holder.done).toBe('done');
});

test('the caller’s abort reaches the work', async () => {
  const controller = new AbortController();
  const work = withClusterLock(
    shop,
    { operation: 'backup', id },
    async (signal) => {
      controller.abort();
      await until(() => signal.aborted, 5);
      throw signal.reason;
    },
    { signal: controller.signal },
  );
  await expect(work).rejects.toMatchObject({ code: 'cancelled' });
});

test('the holder’s name fits what the server keeps, and loses of the host rather than of the pid', () => {
  expect(holderText({ operation: 'backup', id }, 'db-7')).toBe(
    `pgproof backup ${id} on db-7 pid ${process.pid}`.slice(0, 63),
  );
  const long = holderText({ operation: 'backup', id }, 'a-very-long-host-name-of-many-words');
  expect(long.length).toBeLessThanOrEqual(63);
  expect(long).toMatch(new RegExp(`^pgproof backup ${id} on a.*~ pid ${process.pid}$`));
  expect(holderText({ operation: 'drill', id: id.replace('full', 'drill') }, 'db-7')).toBe(
    `pgproof ${id.replace('full', 'drill')} on db-7 pid ${process.pid}`,
  );
});
