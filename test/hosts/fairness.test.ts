import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { StartedRun } from '../../client/temporal.ts';
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
import { openValve, type Valve } from '../support/valve.ts';

/**
 * Scenario 6: two clusters, `shop` and `blog`, on one host; what shop does hangs. Only a copy whose size is known ends soon: by a role that
 * may not ask for it, it has all the time that a slow machine needs.
 */
const [major] = alternate(1) as [string];
const timeouts = {
  ...shortTimeouts,
  bulk: {
    ...shortTimeouts.bulk,
    attempts: 1,
    sized: { atLeast: 10, bytesPerSecond: 50_000_000 },
    busy: { firstRetry: 0.5, longestRetry: 1, deadline: 170 },
  },
};
let fleet: Fleet;
let blog: Cluster;
let network: Valve;
let worker: WorkerProcess | undefined;

beforeAll(async () => {
  fleet = await openFleet({ major, timeouts, controlConfig: addBlog });
  network = await openValve(fleet.stage.server);
  for (const { sql } of [fleet.stage.server, blog])
    await sql('CREATE ROLE unsized LOGIN REPLICATION; GRANT pg_read_all_settings TO unsized');
});
afterAll(async () => {
  await network?.close();
  await fleet?.dispose();
  await blog?.dispose();
});
afterEach(async () => {
  await worker?.stop();
  worker = undefined;
});

test('a backup that waits for its WAL gives the only slot free in between, and the other cluster is backed up', async () => {
  await work({ slots: 1, user: 'unsized' });
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
  await work({ slots: 2, user: 'postgres' });
  const halted = network.shut(4_000_000);
  const stuck = await fleet.start('backup');
  await halted;
  const hung = freeze(fleet.stage.server);
  network.open();
  try {
    const other = await fleet.start('backup', { cluster: 'blog' });
    expect((await fleet.finish(other)).report).toMatchObject({ status: 'SUCCESS', cluster: 'blog' });
    const error = (await fleet.finish(stuck).catch((thrown: unknown) => thrown)) as PgproofError;
    expect(error).toMatchObject({ code: 'timeout', facts: { step: 'copyBase' } });
    expect((await copyOf(other)).began).toBeLessThan((await copyOf(stuck)).ended); // it was not kept waiting for its end
  } finally {
    hung.thaw();
  }
});

/** Every process of the server stands still, and its connections stay open: a dead disk looks like this. */
function freeze({ dataDir }: Cluster): { thaw(): void } {
  const postmaster = postmasterOf(dataDir) as number;
  process.kill(postmaster, 'SIGSTOP');
  const pids = [postmaster, ...childrenOf(postmaster)]; // it starts no more of them
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

/** When the copy of a run that has ended began and ended, in nanoseconds. */
async function copyOf({ workflowId }: StartedRun): Promise<{ began: bigint; ended: bigint }> {
  const { events } = await fleet.temporal.client.workflow.getHandle(workflowId).fetchHistory();
  const steps = events ?? [];
  const scheduled = steps.find(
    ({ activityTaskScheduledEventAttributes: step }) => step?.activityType?.name === 'copyBase',
  );
  const began = steps.find(
    ({ activityTaskStartedEventAttributes: step }) =>
      step != null && `${step.scheduledEventId}` === `${scheduled?.eventId}`,
  );
  const ended = steps[steps.indexOf(began as (typeof steps)[0]) + 1];
  const at = (event = began) =>
    BigInt(`${event?.eventTime?.seconds}`) * 1_000_000_000n + BigInt(event?.eventTime?.nanos ?? 0);
  return { began: at(began), ended: at(ended) };
}

/** @param user as whom the host connects to its servers. */
async function work({ slots, user }: { slots: number; user: string }): Promise<void> {
  const config = parse(readFileSync(fleet.stage.configFile, 'utf8'));
  config.hosts['db-7'].slots = slots;
  Object.assign(config.clusters.shop.connection, { socket: network.socketDir, user });
  config.clusters.blog.connection.user = 'unsized';
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
