import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import type { Config } from '../../core/config.ts';
import type { PgproofError } from '../../core/errors.ts';
import { openCluster } from '../../host/cluster.ts';
import { openHost } from '../../host/host.ts';
import { inspectServer } from '../../postgres/server.ts';
import { declareEra } from '../../repository/eras.ts';
import { initRepository } from '../../repository/repository.ts';
import { archiveCommand } from '../../wal/archive-command.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';
import { alternate, type Cluster, startCluster } from '../support/postgres.ts';
import { childrenOf } from '../support/processes.ts';
import { postmasterOf } from '../support/server.ts';
import { type Stage, startWorker, until, type WorkerProcess } from '../support/stage.ts';
import { shortTimeouts, silent } from '../support/temporal.ts';

vi.setConfig({ testTimeout: 180_000 });

/** Scenario 6: two clusters, `shop` and `blog`, on one host; what shop does hangs. */
const [major] = alternate(1) as [string];
const timeouts = {
  ...shortTimeouts,
  bulk: { ...shortTimeouts.bulk, attempts: 1, sized: { atLeast: 15, bytesPerSecond: 50_000_000 } },
};
let fleet: Fleet;
let blog: Cluster;
let worker: WorkerProcess | undefined;

beforeAll(async () => {
  fleet = await openFleet({ major, timeouts, controlConfig: addBlog });
  await fleet.stage.server.sql(
    `CREATE TABLE bulk AS SELECT sha512(n::text::bytea) || sha512((-n)::text::bytea) AS noise FROM generate_series(1, 250000) n`,
  );
}, 120_000);
afterAll(async () => {
  await fleet?.dispose();
  await blog?.dispose();
});
afterEach(async () => {
  await worker?.stop();
  worker = undefined;
});

test('a backup that waits for its WAL gives the only slot free in between, and the other cluster is backed up', async () => {
  await work({ slots: 1 });
  await fleet.stage.letShip(false);
  const stuck = await fleet.start('backup');
  await until(async () => (await pending(stuck.workflowId)) === 'awaitWal');
  const { report } = await fleet.finish(await fleet.start('backup', { cluster: 'blog' }));
  expect(report).toMatchObject({ status: 'SUCCESS', cluster: 'blog' });
  expect(await pending(stuck.workflowId)).toBe('awaitWal');
  await fleet.stage.letShip(true);
  expect((await fleet.finish(stuck)).report).toMatchObject({ status: 'SUCCESS', cluster: 'shop' });
});

test('a server that hangs in the middle of a copy costs one of two slots, and the step ends at its deadline', async () => {
  await work({ slots: 2 });
  const stuck = await fleet.start('backup');
  await until(async () => {
    const rows = await fleet.stage.server.sql(
      'SELECT FROM pg_stat_progress_basebackup WHERE backup_streamed > 4000000',
    );
    return rows.length > 0;
  }, 10);
  const hung = freeze(fleet.stage.server);
  try {
    const { report } = await fleet.finish(await fleet.start('backup', { cluster: 'blog' }));
    expect(report).toMatchObject({ status: 'SUCCESS', cluster: 'blog' });
    expect(await pending(stuck.workflowId)).toBe('copyBase'); // blog was not kept waiting for its end
    const error = (await fleet.finish(stuck).catch((thrown: unknown) => thrown)) as PgproofError;
    expect(error).toMatchObject({ code: 'timeout', facts: { step: 'copyBase' } });
  } finally {
    hung.thaw();
  }
});

/** Every process of the server stands still, and its connections stay open: a dead disk looks like this. */
function freeze({ dataDir }: Cluster): { thaw(): void } {
  const postmaster = postmasterOf(dataDir) as number;
  const pids = [postmaster, ...childrenOf(postmaster)];
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  return {
    thaw: () => {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    },
  };
}

async function pending(workflowId: string): Promise<string | undefined> {
  const { raw } = await fleet.temporal.client.workflow.getHandle(workflowId).describe();
  return raw.pendingActivities?.[0]?.activityType?.name ?? undefined;
}

async function work({ slots }: { slots: number }): Promise<void> {
  const config = parse(readFileSync(fleet.stage.configFile, 'utf8'));
  config.hosts['db-7'].slots = slots;
  writeFileSync(fleet.stage.configFile, stringify(config));
  worker = await startWorker(fleet.stage);
}

/** A second cluster in the stage's configuration, with a repository of its own. */
async function addBlog(stage: Stage): Promise<Config> {
  blog = await startCluster({ major, settings: { archive_mode: 'on', archive_command: '/bin/false' } });
  const config = parse(readFileSync(stage.configFile, 'utf8'));
  const path = join(stage.folder, 'blog');
  mkdirSync(path, { mode: 0o700 });
  config.repositories.blog = { type: 'file', path };
  const connection = { ...config.clusters.shop.connection, socket: blog.socketDir };
  config.clusters.blog = { ...config.clusters.shop, repositories: ['blog'], connection };
  writeFileSync(stage.configFile, stringify(config));
  const host = await openHost({ configFile: stage.configFile, host: 'db-7', log: silent });
  await initRepository('blog', host.config.repositories.blog!);
  const cluster = await openCluster(host, 'blog');
  await declareEra(cluster.repository, cluster, 'blog', await inspectServer(cluster.config.connection));
  await blog.sql(`ALTER SYSTEM SET archive_command = '${archiveCommand(cluster.paths).replaceAll("'", "''")}'`);
  await blog.sql('SELECT pg_reload_conf()');
  return host.config;
}
