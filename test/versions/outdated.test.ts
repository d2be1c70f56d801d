import { NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { followRun } from '../../client/follow.ts';
import { connectTemporal, startOperation, type Temporal } from '../../client/temporal.ts';
import { configSchema } from '../../core/config.ts';
import { hostQueues } from '../../core/queues.ts';
import { features } from '../../core/request.ts';
import { runControl } from '../../workers/control.ts';
import { bundleCache, shortTimeouts, silent, startTemporal, type TestTemporal } from '../support/temporal.ts';

/** Hosts that no real older build is like: stand-ins, which greet in old ways, or lack a step that they promise. */

const config = configSchema.parse({
  hosts: { 'db-7': {} },
  repositories: { local: { type: 'file', path: '/no/such/folder' } },
  clusters: { shop: { host: 'db-7', connection: { socket: '/no/such/folder' }, repositories: ['local'] } },
});

let server: TestTemporal;
let temporal: Temporal;
const stop = new AbortController();
let control: Promise<void>;
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startTemporal();
  temporal = await connectTemporal(server.settings, null);
  const serving = Promise.withResolvers<void>();
  const where = { config, temporal: server.settings, log: silent, signal: stop.signal };
  control = runControl({ ...where, timeouts: shortTimeouts, cache: bundleCache(), onServing: serving.resolve });
  await Promise.race([serving.promise, control]);
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});
afterAll(async () => {
  stop.abort();
  await control;
  await temporal?.close();
  await server?.dispose();
});

type Steps = Record<string, (input: unknown) => Promise<unknown>>;

/** A worker of db-7 that has these steps. */
async function startHost(activities: Steps): Promise<void> {
  const connection = await NativeConnection.connect({ address: server.settings.address });
  const { namespace } = server.settings;
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: hostQueues('main', 'db-7').quick,
    activities,
  });
  const running = worker.run();
  ends.push(async () => {
    worker.shutdown();
    await running;
    await connection.close();
  });
}

async function outcomeOfBackup(): Promise<unknown> {
  const run = await startOperation(temporal, 'main', 'backup', { cluster: 'shop' });
  const signal = AbortSignal.timeout(170_000);
  return followRun(temporal, run, { fleet: 'main', signal }).catch((error: unknown) => error);
}

test('a step that the host does not know fails at once, and names host and step', async () => {
  const report = async () => ({ report: 'shop/reports/x.json' });
  const hello = async () => ({ host: 'db-7', version: '0.0.9', features, configHash: '' });
  await startHost({ hello, reportFailure: report });
  expect(await outcomeOfBackup()).toMatchObject({
    code: 'worker-outdated',
    facts: { host: 'db-7', step: 'preflightBackup' },
    hint: expect.stringContaining('Upgrade pgproof on db-7'),
  });
});

test.each([
  ['does not say what it can', { host: 'db-7', version: '0.0.1' }],
  ['can do less', { host: 'db-7', version: '0.0.9', features: ['drill'], configHash: '' }],
])('a host whose greeting %s is refused with its version, before anything is begun', async (_what, greeting) => {
  await startHost({ hello: async () => greeting });
  expect(await outcomeOfBackup()).toMatchObject({
    code: 'worker-outdated',
    facts: { host: 'db-7', version: greeting.version },
  });
});
