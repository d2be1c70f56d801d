import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { followRun } from '../../client/follow.ts';
import { connectTemporal, startOperation, type Temporal } from '../../client/temporal.ts';
import type { FiledReport } from '../../core/report.ts';
import type { Feature } from '../../core/request.ts';
import { alternate } from '../support/postgres.ts';
import { childrenOf } from '../support/processes.ts';
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
let trap: Server;
/** Connections to servers and stores of the configuration that control workers have. */
let trapped = 0;
let controlConfig: string;
const builds: Build[] = [];

beforeAll(async () => {
  server = await startTemporal();
  stage = await openStage({ major: alternate(1)[0] as string, ports: server.ports });
  temporal = await connectTemporal(server.settings, null);
  older = unpackOlder(stage.folder);
  trap = createServer((socket) => {
    trapped += 1;
    socket.destroy();
  });
  trap.listen(0, '127.0.0.1');
  await once(trap, 'listening');
  controlConfig = writeControlConfig((trap.address() as AddressInfo).port);
});
afterAll(async () => {
  await Promise.all(builds.map((build) => build.stop()));
  await temporal?.close();
  await stage?.dispose();
  await server?.dispose();
  trap?.close();
});

/** Where control workers run there is nothing else: no data directory, no key, no repository, and a wall around the servers. */
function writeControlConfig(port: number): string {
  const [path, credentials] = [join(stage.folder, 'control.yaml'), join(stage.folder, 'credentials.json')];
  writeFileSync(credentials, '{"accessKeyId": "k", "accessKeySecret": "s"}', { mode: 0o600 });
  const config = parse(readFileSync(stage.configFile, 'utf8'));
  config.hosts['db-7'].state = '/no/such/state';
  config.repositories.local = {
    type: 's3',
    endpoint: `http://127.0.0.1:${port}`,
    bucket: 'backups',
    region: 'us-east-1',
    credentials: { file: credentials },
  };
  config.keys.main.file = '/no/such/key';
  const { socket: _socket, ...connection } = config.clusters.shop.connection;
  config.clusters.shop.connection = { ...connection, host: '127.0.0.1', port };
  writeFileSync(path, stringify(config));
  return path;
}

async function run(root: string, ...args: string[]): Promise<Build> {
  const logFile = join(stage.folder, `build-${randomUUID().slice(0, 8)}.log`);
  const config = args.includes('--control') ? controlConfig : stage.configFile;
  const build = await runBuild(root, [...args, '--config', config, '--host', 'db-7'], logFile);
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
  await until(() => isWaitingForWal(upgraded.workflowId));
  const newHost = await run(here, 'worker');
  await until(() => readFileSync(newHost.logFile, 'utf8').includes('WAL shipping waits until the other worker ends'));
  oldHost.kill('SIGTERM');
  await stage.letShip(true);
  expect(await outcome(upgraded)).toMatchObject({ status: 'SUCCESS' });
  await oldHost.ended;
  const { events } = await temporal.client.workflow.getHandle(upgraded.workflowId).fetchHistory();
  const copies = (events ?? []).filter(
    ({ activityTaskScheduledEventAttributes: step }) => step?.activityType?.name === 'copyBase',
  );
  const started = (events ?? []).find(({ activityTaskStartedEventAttributes: step }) =>
    step?.scheduledEventId?.equals(copies[0]?.eventId ?? 0),
  );
  expect(copies).toHaveLength(1);
  expect(started?.activityTaskStartedEventAttributes?.attempt).toBe(1); // nothing was copied twice

  // Older control, newer host.
  await newControl.stop();
  await run(older, 'worker', '--control');
  expect(await outcome(await start('backup'))).toMatchObject({ status: 'SUCCESS' });
  expect(readFileSync(newHost.logFile, 'utf8').match(/waits until the other worker ends/g)).toHaveLength(1);
});

test('a worker that is told to end cancels what outlasts its grace time and ends by itself; Temporal knows', async () => {
  await stopHosts();
  const host = await run(here, 'worker', '--grace', '1s');
  await stage.letShip(false);
  const backup = await start('backup');
  await until(() => isWaitingForWal(backup.workflowId));
  host.kill('SIGTERM');
  expect(await host.ended).toEqual([0, null]);
  expect(readFileSync(host.logFile, 'utf8')).not.toContain('did not stop in time');
  await until(async () => (await childrenLeft(host.pid)).length === 0);

  const { lastFailure } = (await pendingOf(backup.workflowId)) ?? {};
  expect(lastFailure?.applicationFailureInfo?.type).toBe('worker-stopped'); // and so the next worker tries it again
  await temporal.client.workflow.getHandle(backup.workflowId).terminate('nobody goes on with it here');
  await stage.letShip(true);
});

test('control workers have opened no server, no repository and no key for all that, and lacked nothing', async () => {
  expect(trapped).toBe(0);
  for (const { logFile } of builds.filter(({ args }) => args.includes('--control')))
    expect(errorsOf(logFile)).toEqual([]);
});

async function stopHosts(): Promise<void> {
  await Promise.all(builds.filter(({ args }) => !args.includes('--control')).map((build) => build.stop()));
}

/** What works for a worker that has ended: its server sessions, and its processes. */
async function childrenLeft(pid: number): Promise<unknown[]> {
  const sessions = await stage.server.sql(
    `SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'pgproof backup%' OR backend_type = 'walsender'`,
  );
  return [...sessions, ...childrenOf(pid)];
}

/** Taken by a worker, not only offered to one. */
async function isWaitingForWal(workflowId: string): Promise<boolean> {
  const pending = await pendingOf(workflowId);
  return pending?.activityType?.name === 'awaitWal' && pending.state === 2; // PENDING_ACTIVITY_STATE_STARTED
}

async function pendingOf(workflowId: string) {
  const { raw } = await temporal.client.workflow.getHandle(workflowId).describe();
  return raw.pendingActivities?.[0];
}

/** Of the worker itself; runs that failed, as they should here, are told with their id. */
function errorsOf(logFile: string): string[] {
  const lines = readFileSync(logFile, 'utf8').split('\n');
  return lines.filter((line) => /"level":[56]0/.test(line) && !line.includes('"workflowId"'));
}
