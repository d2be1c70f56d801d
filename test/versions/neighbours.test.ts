import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { followRun } from '../../client/follow.ts';
import { connectTemporal, startOperation, type Temporal } from '../../client/temporal.ts';
import type { FiledReport } from '../../core/report.ts';
import type { Feature } from '../../core/request.ts';
import { alternate } from '../support/postgres.ts';
import { openStage, type Stage, until } from '../support/stage.ts';
import { startTemporal, type TestTemporal } from '../support/temporal.ts';
import { type Build, runBuild, unpackOlder } from './older.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 }); // several builds start and end

/** Hosts and control workers are upgraded one after the other: for a while neighbours work together, and two workers on one host. */

const here = join(import.meta.dirname, '../..');
let server: TestTemporal;
let stage: Stage;
let temporal: Temporal;
let older: string;
const builds: Build[] = [];

beforeAll(async () => {
  server = await startTemporal();
  stage = await openStage({ major: alternate(1)[0] as string, ports: server.ports });
  temporal = await connectTemporal(server.settings, null);
  older = unpackOlder(stage.folder);
});
afterAll(async () => {
  await Promise.all(builds.map((build) => build.stop()));
  await temporal?.close();
  await stage?.dispose();
  await server?.dispose();
});

async function run(root: string, ...args: string[]): Promise<Build> {
  const logFile = join(stage.folder, `build-${builds.length}.log`);
  const build = await runBuild(root, [...args, '--config', stage.configFile, '--host', 'db-7'], logFile);
  builds.push(build);
  return build;
}

const start = (operation: Feature) => startOperation(temporal, 'main', operation, { cluster: 'shop' });
async function outcome(started: Awaited<ReturnType<typeof start>>): Promise<FiledReport['report'] | { code: string }> {
  const signal = AbortSignal.timeout(120_000);
  const followed = await followRun<FiledReport>(temporal, started, { fleet: 'main', signal }).catch(
    (error: unknown) => error as { code: string },
  );
  if ('code' in followed) return followed;
  if (followed.state === 'detached') throw new Error(`${started.operation} did not end`);
  return followed.result.report;
}

test('a control worker and a host of neighbouring versions do their work, in both directions, through an upgrade of each', async () => {
  const [oldHost, newControl] = await Promise.all([run(older, 'worker'), run(here, 'worker', '--control')]);

  // Newer control, older host: what both know is done; what the host does not know is refused, and says what to upgrade.
  const [backup, sync] = [await start('backup'), await start('walSync')];
  expect(await outcome(sync)).toMatchObject({ code: 'worker-outdated', facts: { host: 'db-7' } });
  expect(await outcome(backup)).toMatchObject({ status: 'SUCCESS' });

  // The host is upgraded in the middle of a backup: the new worker starts beside the old one, which finishes its step.
  await stage.letShip(false);
  const upgraded = await start('backup');
  await until(async () => (await pendingOf(upgraded.workflowId))?.activityType?.name === 'awaitWal');
  oldHost.kill('SIGTERM');
  const newHost = await run(here, 'worker');
  await until(() => readFileSync(newHost.logFile, 'utf8').includes('WAL shipping waits until the other worker ends'));
  await stage.letShip(true);
  expect(await outcome(upgraded)).toMatchObject({ status: 'SUCCESS' });
  await oldHost.ended;
  const { events } = await temporal.client.workflow.getHandle(upgraded.workflowId).fetchHistory();
  const attempts = (events ?? []).flatMap(({ activityTaskStartedEventAttributes: one }) => one?.attempt ?? []);
  expect(attempts.every((attempt) => attempt === 1)).toBe(true); // no step was begun twice

  // Older control, newer host.
  await newControl.stop();
  await run(older, 'worker', '--control');
  expect(await outcome(await start('backup'))).toMatchObject({ status: 'SUCCESS' });
  expect(readFileSync(newHost.logFile, 'utf8').match(/waits until the other worker ends/g)).toHaveLength(1);
});

async function pendingOf(workflowId: string) {
  const { raw } = await temporal.client.workflow.getHandle(workflowId).describe();
  return raw.pendingActivities?.[0];
}
