import { ApplicationFailure } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectTemporal, startOperation, type Temporal } from '../../client/temporal.ts';
import { configSchema } from '../../core/config.ts';
import { hostQueues } from '../../core/queues.ts';
import { features } from '../../core/request.ts';
import { runControl } from '../../workers/control.ts';
import { until } from '../support/stage.ts';
import { bundleCache, shortTimeouts, silent, startTemporal, type TestTemporal } from '../support/temporal.ts';

/** What the server does with priorities: the real one that `up` starts, and a worker whose steps only note their names. */
const config = configSchema.parse({
  hosts: { 'db-7': {} },
  repositories: { local: { type: 'file', path: '/no/such/folder' } },
  clusters: { shop: { host: 'db-7', connection: { socket: '/no/such/folder' }, repositories: ['local'] } },
});
const queues = hostQueues('main', 'db-7');
const stop = new AbortController();
let server: TestTemporal;
let temporal: Temporal;
let connection: NativeConnection;
let control: Promise<void>;

beforeAll(async () => {
  server = await startTemporal();
  temporal = await connectTemporal(server.settings, null);
  const serving = Promise.withResolvers<void>();
  control = runControl({
    ...{ config, temporal: server.settings, log: silent, signal: stop.signal },
    ...{ timeouts: shortTimeouts, cache: bundleCache(), onServing: serving.resolve },
  });
  await Promise.race([serving.promise, control]);
  connection = await NativeConnection.connect(server.settings.connection); // after the control worker's own start of the SDK
});
afterAll(async () => {
  stop.abort();
  await control;
  await connection?.close();
  await temporal?.close();
  await server?.dispose();
});

/** How many steps lie on a queue: one that is scheduled comes there a moment later. */
async function waitingFor(name: string): Promise<number> {
  const { stats } = await temporal.client.workflowService.describeTaskQueue({
    namespace: server.settings.namespace,
    taskQueue: { name },
    taskQueueType: 2, // of activities
    reportStats: true,
  });
  return Number(stats?.approximateBacklogCount ?? 0);
}

const workerOn = (taskQueue: string, slots: number, activities: object) =>
  Worker.create({
    connection,
    namespace: server.settings.namespace,
    taskQueue,
    activities,
    maxConcurrentActivityTaskExecutions: slots,
  });

test('of what waits for the only slot, backups go first, then copies, then verifies, and drills come last', async () => {
  const order: string[] = [];
  const noted = (name: string) => async (): Promise<never> => {
    order.push(name);
    throw ApplicationFailure.nonRetryable('noted', 'internal', {}, null);
  };
  const quick = await workerOn(queues.quick, 20, {
    hello: async () => ({ host: 'db-7', version: '0', features, configHash: '' }),
    preflightBackup: async () => ({ bytes: null, awaitsPrimary: false }),
    reportFailure: async () => ({ report: 'none' }),
  });
  const steps = { runDrill: 'drill', runVerify: 'verify', copyOffsite: 'copy', copyBase: 'backup' };
  const bulk = () =>
    workerOn(queues.bulk, 1, Object.fromEntries(Object.entries(steps).map(([step, name]) => [step, noted(name)])));
  await quick.runUntil(async () => {
    const runs = [];
    for (const operation of ['drill', 'drill', 'verify', 'copy', 'backup', 'drill', 'backup'] as const)
      runs.push(await startOperation(temporal, 'main', operation, { cluster: 'shop' }));
    const handles = runs.map(({ workflowId }) => temporal.client.workflow.getHandle(workflowId));
    for (const handle of handles) {
      await until(async () => {
        const waiting = (await handle.describe()).raw.pendingActivities ?? [];
        return waiting.some(({ activityType }) => activityType?.name !== undefined && activityType.name! in steps);
      });
    }
    await until(async () => (await waitingFor(queues.bulk)) === runs.length);
    const worker = await bulk();
    await worker.runUntil(Promise.allSettled(handles.map((handle) => handle.result())));
  });
  expect(order).toEqual(['backup', 'backup', 'copy', 'verify', 'drill', 'drill', 'drill']);
});
