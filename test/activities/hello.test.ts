import { expect, test } from 'vitest';
import { createControlActivities, type Resolved } from '../../activities/control.ts';
import { type Greeting, helloSteps } from '../../activities/hello.ts';
import { type Config, configSchema } from '../../core/config.ts';
import { features } from '../../core/request.ts';
import type { Host } from '../../host/host.ts';
import { activityEnvironment } from '../support/activity.ts';
import { shortTimeouts, silent } from '../support/temporal.ts';

const section = { host: 'db-7', connection: { socket: '/run/postgresql' }, repositories: ['local'] };

function configWith(shop: Record<string, unknown>): Config {
  return configSchema.parse({
    hosts: { 'db-7': {}, 'db-8': {} },
    repositories: { local: { type: 'file', path: '/srv/repository' } },
    clusters: { shop: { ...section, ...shop } },
  });
}

const hostOf = (config: Config, name = 'db-7'): Host => {
  return { config, configFile: '/etc/pgproof/pgproof.yaml', name, stateDir: '/var/lib/pgproof', log: silent };
};

const hello = (host: Host, cluster: string): Promise<Greeting> =>
  activityEnvironment().run(helloSteps(host, '0.1.0').hello as (input: unknown) => Promise<Greeting>, { cluster });

function resolve(config: Config, asked: object = {}): Promise<Resolved> {
  const { resolve: step } = createControlActivities({ config, timeouts: shortTimeouts });
  const input = { cluster: 'shop', operation: 'backup', ...asked };
  return activityEnvironment().run(step as (input: unknown) => Promise<Resolved>, input);
}

test('hello answers with version, features, and the same hash as a control worker that is configured alike', async () => {
  const config = configWith({});
  const greeting = await hello(hostOf(config), 'shop');
  expect(greeting).toMatchObject({ host: 'db-7', version: '0.1.0', features });
  expect((await resolve(configWith({ wal: { mode: 'archive' } }))).configHash).toBe(greeting.configHash); // a default, written down
  expect((await resolve(configWith({ objectives: { rpo: '1m' } }))).configHash).not.toBe(greeting.configHash);
});

test('a host refuses a cluster that its own config does not define, or puts on another host', async () => {
  await expect(hello(hostOf(configWith({})), 'till')).rejects.toMatchObject({
    type: 'cluster-unknown',
    nonRetryable: true,
  });
  const elsewhere = hello(hostOf(configWith({}), 'db-8'), 'shop');
  await expect(elsewhere).rejects.toMatchObject({ type: 'cluster-elsewhere', nonRetryable: true });
});

test('resolve names host, queues and deadlines, and nothing that is a path or a connection', async () => {
  const resolved = await resolve(configWith({}));
  expect(resolved).toMatchObject({
    host: 'db-7',
    queues: { quick: 'pgproof-main-db-7', bulk: 'pgproof-main-db-7-bulk', restore: 'pgproof-main-db-7-restore' },
    timeouts: shortTimeouts,
  });
  expect(JSON.stringify(resolved)).not.toContain('/');
});

test('dumps are taken where they are wanted: by who asks, by their own configuration, by that of the cluster', async () => {
  const where = async (shop: object, asked: object = {}) =>
    (await resolve(configWith({ ...shop }), { operation: 'dump', ...asked })).prefer;
  expect(await where({})).toBe('primary');
  expect(await where({ prefer: 'standby' })).toBe('standby');
  expect(await where({ prefer: 'standby', dumps: { prefer: 'primary' } })).toBe('primary');
  expect(await where({ dumps: { prefer: 'primary' } }, { prefer: 'standby' })).toBe('standby');
  expect(await where({ dumps: { prefer: 'standby' } }, { operation: 'backup' })).toBe('primary');
});
