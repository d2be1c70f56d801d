import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { followRun } from '../../client/follow.ts';
import { connectTemporal, startOperation, type Temporal } from '../../client/temporal.ts';
import { configSchema } from '../../core/config.ts';
import { timeouts } from '../../core/timeouts.ts';
import { runControl } from '../../workers/control.ts';
import { bundleCache, shortTimeouts, startTemporal, type TestTemporal } from '../support/temporal.ts';

/** The control worker alone: what is said when things are asked wrongly, or nobody is there to do them. */

const config = configSchema.parse({
  hosts: { 'db-7': {} },
  repositories: { local: { type: 'file', path: '/no/such/folder' } },
  clusters: { shop: { host: 'db-7', connection: { socket: '/no/such/folder' }, repositories: ['local'] } },
});

let server: TestTemporal;
let temporal: Temporal;
const stop = new AbortController();
let control: Promise<void>;
/** Asked of a control worker that is not there, which takes its time: the other tests run meanwhile. */
let untaken: ReturnType<typeof outcomeOf>;
const logged: string[] = [];

beforeAll(async () => {
  server = await startTemporal();
  temporal = await connectTemporal(server.settings, null);
  const serving = Promise.withResolvers<void>();
  const options = {
    config,
    temporal: server.settings,
    log: pino({ level: 'error' }, { write: (line) => void logged.push(line) }),
    signal: stop.signal,
    timeouts: impatient,
    cache: bundleCache(),
  };
  control = runControl({ ...options, onServing: serving.resolve });
  await Promise.race([serving.promise, control]);
  untaken = outcomeOf('elsewhere', { cluster: 'shop' });
});

afterAll(async () => {
  stop.abort();
  await control;
  await temporal?.close();
  await server?.dispose();
});

const signal = new AbortController().signal;
const impatient = { ...shortTimeouts, quick: { ...shortTimeouts.quick, hello: 1 } };

async function outcomeOf(fleet: string, input: Record<string, unknown>, operation: 'backup' | 'restore' = 'backup') {
  const run = await startOperation(temporal, fleet, operation, input as { cluster: string });
  const outcome = await followRun(temporal, run, { fleet, signal }).catch((error: unknown) => error);
  return { run, outcome };
}

describe('a workflow', () => {
  test('says which queue has no worker, and by its own profile within 10 s', async () => {
    expect(timeouts.quick.hello).toBeLessThan(10); // a worker that is not there is said within so many seconds
    const { outcome } = await outcomeOf('main', { cluster: 'shop' });
    expect(outcome).toMatchObject({ code: 'worker-absent', facts: { host: 'db-7', queue: 'pgproof-main-db-7' } });
    expect((outcome as { hint: string }).hint).toContain('--offline');
  });

  test('that fails is an error in the log of the control worker, with its code: a schedule may fail every night', async () => {
    await outcomeOf('main', { cluster: 'shopp' });
    const errors = () => logged.map((line) => JSON.parse(line)).filter(({ level }) => level === 50);
    await expect
      .poll(errors)
      .toContainEqual(
        expect.objectContaining({ code: 'cluster-unknown', msg: expect.stringContaining('backup of shopp failed') }),
      );
  });

  test('refuses a cluster that no config defines, and names those it does', async () => {
    const { outcome } = await outcomeOf('main', { cluster: 'shopp' });
    expect(outcome).toMatchObject({ code: 'cluster-unknown', facts: { cluster: 'shopp', known: ['shop'] } });
  });

  test.each([
    ['no object', 'shop'],
    ['an empty object', {}],
    ['a name that is a path', { cluster: '../x' }],
    ['a cluster that is no text', { cluster: 7 }],
  ])('refuses %s as its input, and shows what would be right', async (_what, input) => {
    const { outcome } = await outcomeOf('main', input as Record<string, unknown>);
    expect(outcome).toMatchObject({ code: 'usage' });
    expect((outcome as { hint: string }).hint).toContain('{"cluster": "shop"}');
  });

  test('refuses a restore without a plan, and a plan that is a path', async () => {
    expect((await outcomeOf('main', { cluster: 'shop' }, 'restore')).outcome).toMatchObject({ code: 'usage' });
    const { outcome } = await outcomeOf('main', { cluster: 'shop', plan: '../../etc/passwd' }, 'restore');
    expect(outcome).toMatchObject({ code: 'usage' });
  });

  test('ignores fields it does not know', async () => {
    const { outcome } = await outcomeOf('main', { cluster: 'shop', colour: 'green', noWait: true });
    expect(outcome).toMatchObject({ code: 'worker-absent' });
  });

  test('is found by its cluster, operation and host', async () => {
    const { run } = await outcomeOf('main', { cluster: 'shop' });
    const { searchAttributes } = await temporal.client.workflow.getHandle(run.workflowId).describe();
    expect(searchAttributes).toMatchObject({ PgCluster: ['shop'], PgOperation: ['backup'], PgHost: ['db-7'] });
  });
});

describe('the client', () => {
  test('detaches when it is interrupted, and the run goes on', async () => {
    const run = await startOperation(temporal, 'elsewhere', 'backup', { cluster: 'shop' }); // where nothing ends it
    const outcome = await followRun(temporal, run, { fleet: 'elsewhere', signal: AbortSignal.timeout(100) });
    expect(outcome).toEqual({ state: 'detached' });
    expect((await temporal.client.workflow.getHandle(run.workflowId).describe()).status.name).toBe('RUNNING');
  });

  test('says that Temporal does not answer, with its address and the form that works without it', async () => {
    const settings = { ...server.settings, address: '127.0.0.1:1', connection: { address: '127.0.0.1:1' } };
    const error = await connectTemporal(settings, 'pgproof backup shop --offline').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'temporal-unreachable', facts: { address: '127.0.0.1:1' } });
    expect((error as { hint: string }).hint).toContain('pgproof backup shop --offline');
  });

  test('says that no control worker is there, and leaves nothing waiting', async () => {
    const { run, outcome } = await untaken;
    expect(outcome).toMatchObject({ code: 'worker-absent', facts: { queue: 'pgproof-elsewhere' } });
    const { status } = await temporal.client.workflow.getHandle(run.workflowId).describe();
    expect(status.name).toBe('TERMINATED');
  });
});
