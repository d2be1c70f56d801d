import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NativeConnection, Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectTemporal, type Temporal } from '../../client/temporal.ts';
import { type Config, configSchema } from '../../core/config.ts';
import { hostQueues } from '../../core/queues.ts';
import { features } from '../../core/request.ts';
import { nextRuns } from '../../core/schedule/next.ts';
import { type WantedSchedule, wantedSchedules } from '../../core/schedule/wanted.ts';
import { generateKeyFile } from '../../repository/key-file.ts';
import { runControl } from '../../workers/control.ts';
import { applySchedules } from '../../workers/schedules/apply.ts';
import { changeText, driftOf, planSchedules } from '../../workers/schedules/plan.ts';
import { listSchedules } from '../../workers/schedules/status.ts';
import { watchSchedules } from '../../workers/schedules/watch.ts';
import { pgproof } from '../client/cli.ts';
import { until } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { bundleCache, shortTimeouts, silent, startTemporal, type TestTemporal } from '../support/temporal.ts';
import { fleetOf } from './support.ts';

let server: TestTemporal;
let temporal: Temporal;
beforeAll(async () => {
  server = await startTemporal();
  temporal = await connectTemporal(server.settings, null);
});
afterAll(async () => {
  await temporal?.close();
  await server?.dispose();
});

const { signal } = new AbortController();
const schedules = {
  base: { run: 'backup', cron: '30 2 * * sun', timezone: 'Europe/Berlin' },
  first: { run: 'drill', calendar: { at: ['02:00', '14:30'], weekdays: 'sunday', days: [1, 2, 3, 4, 5, 6, 7] } },
  wal: { run: 'walSync', every: '15m' },
  often: { run: 'expire', cron: '*/20 1-3 * jan,dec *', overlap: 'wait', jitter: '7s' },
  sample: { run: 'verify', cron: '0 6 29 2 *', catchup: '10s', with: { share: 5, restore: true } },
};
const configOf = (fleet: string, clusters: Record<string, Record<string, unknown>>): Config =>
  configSchema.parse(fleetOf(clusters, { fleet }));
const plan = (config: Config) => planSchedules(temporal.client, config, { signal });
const apply = async (config: Config, confirmed = false) =>
  applySchedules(temporal.client, await plan(config), { confirmed, signal });
const handle = (id: string) => temporal.client.schedule.getHandle(id);

describe('apply', () => {
  test('brings everything to Temporal, and changes nothing the second time', async () => {
    const config = configOf('twice', { shop: schedules, blog: schedules });
    expect((await plan(config)).changes.map(({ kind }) => kind)).toEqual(Array(10).fill('create'));
    await apply(config);
    expect(await plan(config)).toMatchObject({ changes: [], unchanged: 10, existing: 10, paused: [] });
    const described = await handle('pgproof/twice/shop/sample').describe();
    expect(described.policies).toEqual({ overlap: 'SKIP', catchupWindow: 10_000, pauseOnFailure: false });
    const [request] = described.action.args as Record<string, unknown>[];
    expect(request).toMatchObject({ cluster: 'shop', share: 5, restore: true });
  });

  test('follows the configuration, and leaves the pause of a person as it is', async () => {
    await apply(configOf('follows', { shop: schedules }));
    await handle('pgproof/follows/shop/wal').pause('the disk is full');
    const later = configOf('follows', { shop: { ...schedules, wal: { run: 'walSync', every: '1h' } } });
    const planned = await plan(later);
    expect(planned.paused).toMatchObject([{ name: 'wal', note: 'the disk is full' }]);
    const [change] = planned.changes;
    expect(change).toMatchObject({ kind: 'update', by: 'configuration', name: 'wal' });
    await apply(later);
    expect(await plan(later)).toMatchObject({ changes: [], unchanged: 5 });
    const { state, spec } = await handle('pgproof/follows/shop/wal').describe();
    expect(state).toMatchObject({ paused: true, note: 'the disk is full' });
    expect(spec.intervals).toMatchObject([{ every: 3_600_000 }]);
  });

  test.each([
    ['when', { spec: { calendars: [{ hour: 5 }] } }, 'when: 0 5 * * *, should be 30 2 * * 0'],
    ['time zone', { spec: { timezone: 'UTC' } }, 'timezone: UTC, should be Europe/Berlin'],
    ['overlap', { policies: { overlap: 'ALLOW_ALL' } }, 'overlap: ALLOW_ALL, should be skip'],
    ['number of runs', { state: { remainingActions: 3 } }, 'limits: 3 more runs, should be none'],
    ['end', { spec: { endAt: new Date('2030-01-01T00:00:00Z') } }, 'limits: until 2030-01-01T00:00:00.000Z'],
  ])('sees that somebody changed the %s in Temporal, and mends it', async (_what, byHand, said) => {
    const config = configOf('hand', { shop: { base: schedules.base } });
    await apply(config);
    await handle('pgproof/hand/shop/base').update((previous) => {
      const { spec, policies, state } = byHand as Record<string, object>;
      const policiesThen = { ...previous.policies, ...policies } as never;
      return {
        ...previous,
        spec: { ...previous.spec, ...spec },
        policies: policiesThen,
        state: { ...previous.state, ...state },
      };
    });
    const drift = await plan(config);
    expect(drift.changes).toMatchObject([{ kind: 'update', by: 'hand' }]);
    expect(drift.changes.map(changeText).join()).toContain(said);
    expect(driftOf(drift)).toMatchObject({ code: 'schedules-differ', facts: { differing: 1 } });
    await apply(config);
    expect((await plan(config)).changes).toEqual([]);
  });

  test('a schedule that the configuration does not know is listed by the name of its operation', async () => {
    const offsite = { run: 'copy', cron: '0 4 * * *', with: { to: 'far' } };
    const repositories = ['near', 'far'];
    await apply(configSchema.parse(fleetOf({ shop: { offsite } }, { fleet: 'left', repositories })));
    const bare = configOf('left', { shop: {} });
    await until(async () => (await listSchedules(temporal.client, bare, { signal })).length === 1);
    expect(await listSchedules(temporal.client, bare, { signal })).toMatchObject([
      { name: 'offsite', operation: 'copy' },
    ]);
  });

  test('sees another request, which the fingerprint in it does not hide', async () => {
    const config = configOf('asked', { shop: { sample: schedules.sample } });
    await apply(config);
    await handle('pgproof/asked/shop/sample').update((previous) => {
      const [request] = previous.action.args as object[];
      return { ...previous, action: { ...previous.action, args: [{ ...request, share: 1 }] } };
    });
    expect((await plan(config)).changes).toMatchObject([{ by: 'hand', differences: [{ field: 'request' }] }]);
  });

  test('deletes what the configuration no longer has; more than a third only when somebody says so', async () => {
    const full = configOf('fewer', { shop: schedules, blog: { base: schedules.base } });
    await apply(full);
    // What is only in Temporal is found by its lists, which are a moment behind.
    await until(async () => (await plan(configOf('fewer', { shop: {} }))).existing === 6);
    const { base, ...fewer } = schedules;
    await apply(configOf('fewer', { shop: fewer, blog: { base } }));
    const nothing = configOf('fewer', { shop: {}, blog: { base } });
    await expect(apply(nothing)).rejects.toMatchObject({
      code: 'schedules-unconfirmed',
      facts: { deletions: 4, existing: 5 },
    });
    expect(await plan(nothing)).toMatchObject({ existing: 5 });
    await apply(nothing, true);
    expect(await plan(nothing)).toMatchObject({ changes: [], existing: 1 });
  });

  test('seals what it asks for, where payloads are sealed, and finds it unchanged', async () => {
    const payloadKeyFile = join(tempDir(), 'payloads.key');
    await generateKeyFile(payloadKeyFile);
    const sealed = await connectTemporal({ ...server.settings, payloadKeyFile }, null);
    try {
      const config = configOf('sealed', { shop: { base: schedules.base } });
      const read = () => planSchedules(sealed.client, config, { signal });
      await applySchedules(sealed.client, await read(), { confirmed: false, signal });
      expect(await read()).toMatchObject({ changes: [], unchanged: 1 });
      const { raw } = await sealed.client.schedule.getHandle('pgproof/sealed/shop/base').describe();
      const [payload] = raw.schedule?.action?.startWorkflow?.input?.payloads ?? [];
      expect(Buffer.from(payload?.data ?? []).toString('latin1')).not.toContain('shop');
    } finally {
      await sealed.close();
    }
  });

  test('touches no schedules of another fleet, not even of one whose name begins alike', async () => {
    await apply(configOf('main2', { shop: { base: schedules.base } }));
    const config = configOf('main', { shop: { base: schedules.base } });
    await apply(config);
    const nothing = configOf('main', { shop: {} });
    await until(async () => (await plan(nothing)).changes.length > 0);
    await apply(nothing, true);
    await handle('pgproof/main2/shop/base').describe();
    await expect(handle('pgproof/main/shop/base').describe()).rejects.toThrow();
  });
});

describe('scenario 43: daylight saving', () => {
  test('Temporal runs when we say it does, through the hour that is skipped', async () => {
    const zones = ['Europe/Berlin', 'America/New_York', 'UTC'];
    const moments = {
      skipped: { cron: '30 2 * * *' },
      around: { cron: '*/30 1-4 * * *' },
      first: { calendar: { at: ['02:00', '14:30'], weekdays: 'sunday', days: [1, 2, 3, 4, 5, 6, 7, 14, 28] } },
      even: { every: '6h' },
    };
    const named = zones.flatMap((timezone, n) =>
      Object.entries(moments).map(([name, moment]) => {
        const zoned = 'every' in moment ? moment : { ...moment, timezone, jitter: '0s' };
        return [`${name}-${n}`, { run: 'backup', ...zoned }] as const;
      }),
    );
    const config = configOf('clocks', { shop: Object.fromEntries(named) });
    await apply(config);
    for (const wanted of wantedSchedules(config))
      expect([wanted.name, await runsBetween(wanted.id, '2027-03-07T00:00:00Z', '2027-04-11T00:00:00Z')]).toEqual([
        wanted.name,
        ours(wanted, '2027-03-07T00:00:00Z', '2027-04-11T00:00:00Z'),
      ]);
  });

  test('in the hour that comes twice a daily run happens once, and no day is left without', async () => {
    const config = configOf('twice-hour', {
      shop: { base: { run: 'backup', cron: '30 2 * * *', timezone: 'Europe/Berlin', jitter: '0s' } },
    });
    await apply(config);
    const [wanted] = wantedSchedules(config) as [WantedSchedule];
    const runs = await runsBetween(wanted.id, '2026-10-22T12:00:00Z', '2026-10-28T12:00:00Z');
    expect(runs.map((at) => at.slice(8, 16))).toEqual([
      ...['23T00:30', '24T00:30', '25T01:30', '26T01:30', '27T01:30', '28T01:30'],
    ]);
    expect(runs).toEqual(ours(wanted, '2026-10-22T12:00:00Z', '2026-10-28T12:00:00Z'));
  });
});

/** The server's own answer, for any stretch of time. */
async function runsBetween(scheduleId: string, from: string, to: string): Promise<string[]> {
  const { startTime } = await temporal.client.workflowService.listScheduleMatchingTimes({
    namespace: 'pgproof',
    scheduleId,
    startTime: { seconds: (Date.parse(from) / 1000) as never },
    endTime: { seconds: (Date.parse(to) / 1000) as never },
  });
  return startTime.map(({ seconds }) => new Date(Number(seconds) * 1000).toISOString());
}

const ours = ({ when, timezone }: WantedSchedule, from: string, to: string): string[] =>
  nextRuns(when, timezone, new Date(from), 500)
    .map((at) => at.toISOString())
    .filter((at) => at <= new Date(to).toISOString());

describe('the control worker', () => {
  const listen = () => {
    const said: { level: number; msg: string; code?: string; facts?: { changes: string[] } }[] = [];
    return { said, log: pino({}, { write: (line: string) => void said.push(JSON.parse(line)) }) };
  };

  test('says at once and again and again what differs, and who is paused, and changes nothing', async () => {
    const config = configOf('said', { shop: { base: schedules.base, wal: schedules.wal } });
    await apply(configOf('said', { shop: { wal: schedules.wal } }));
    await handle('pgproof/said/shop/wal').pause('moving house');
    const { said, log } = listen();
    const stop = new AbortController();
    const watching = watchSchedules(temporal.client, config, { log, signal: stop.signal, apply: false, everyMs: 50 });
    await until(() => said.length >= 4);
    stop.abort();
    await watching;
    expect(said.slice(0, 2)).toMatchObject([
      { level: 50, code: 'schedules-differ', facts: { changes: ['shop/base: missing'] } },
      { level: 40, paused: ['shop/wal: moving house'] },
    ]);
    expect((await plan(config)).changes).toHaveLength(1);
  });

  test('brings them together by itself beside the embedded server; a run it begins is asked for as the schedule says', async () => {
    const config = configOf('alone', { shop: { base: schedules.base } });
    const stop = new AbortController();
    const control = runControl({
      config,
      temporal: server.settings,
      log: silent,
      signal: stop.signal,
      timeouts: { ...shortTimeouts, quick: { ...shortTimeouts.quick, hello: 1 } },
      cache: bundleCache(),
      applySchedules: true,
    });
    try {
      await until(async () => (await plan(config)).changes.length === 0);
      await handle('pgproof/alone/shop/base').trigger('SKIP');
      const last = async () => (await listSchedules(temporal.client, config, { signal }))[0]?.last;
      await until(async () => (await last())?.outcome === 'failed');
      // No host is there: what counts is that the workflow took the request.
      expect(await last()).toMatchObject({ error: expect.stringContaining('no worker of host db-7') });
    } finally {
      stop.abort();
      await control;
    }
  });
});

test('a verify that found damage has not gone well, though Temporal calls its run completed', async () => {
  const config = configOf('damaged', { shop: { sample: schedules.sample } });
  const queues = hostQueues('damaged', 'db-7');
  const hello = async () => ({ host: 'db-7', version: '0', features, configHash: '' });
  const report = { errorMessage: 'local: 1 object is damaged', result: { verdict: 'failed' } };
  const runVerify = async () => ({ key: 'shop/reports/x.json', report });
  const stop = new AbortController();
  const where = { config, temporal: server.settings, log: silent, signal: stop.signal, applySchedules: true };
  const control = runControl({ ...where, timeouts: shortTimeouts, cache: bundleCache() });
  const connection = await NativeConnection.connect({ address: server.settings.address });
  const workerOn = (taskQueue: string) =>
    Worker.create({ connection, namespace: server.settings.namespace, taskQueue, activities: { hello, runVerify } });
  const workers = await Promise.all([workerOn(queues.quick), workerOn(queues.bulk)]);
  const running = workers.map((worker) => worker.run());
  try {
    await until(async () => (await plan(config)).changes.length === 0);
    await handle('pgproof/damaged/shop/sample').trigger('SKIP');
    const last = async () => (await listSchedules(temporal.client, config, { signal }))[0]?.last;
    await until(async () => !['running', undefined].includes((await last())?.outcome));
    expect(await last()).toMatchObject({
      outcome: 'failed',
      error: "its verdict is 'failed': local: 1 object is damaged",
    });
  } finally {
    stop.abort();
    for (const worker of workers) worker.shutdown();
    await Promise.all([control, ...running]);
    await connection.close();
  }
});

test('apply, list, pause and resume on the command line', async () => {
  const file = join(tempDir(), 'pgproof.yaml');
  const write = (clusters: Record<string, Record<string, unknown>>) =>
    writeFileSync(file, JSON.stringify(fleetOf(clusters, { fleet: 'cli', temporal: { embedded: server.ports } })));
  const wal = { run: 'walSync', every: '5000d' }; // which does not come round while this runs
  write({ shop: { base: schedules.base, wal } });
  const run = (...args: string[]) => pgproof(['schedules', ...args, '--config', file]);

  const [dry, missing] = await Promise.all([run('apply', '--dry-run'), run('list')]);
  expect(dry).toMatchObject({ code: 0, json: { applied: false, changes: [{ kind: 'create' }, { kind: 'create' }] } });
  expect(missing).toMatchObject({ code: 3, json: { schedules: [{ state: 'missing' }, { state: 'missing' }] } });
  expect(await run('apply')).toMatchObject({
    code: 0,
    json: { applied: true, notes: [expect.stringContaining('shop/base (02:30) will not run then')] },
  });
  expect(await run('pause', 'shop', 'base', '--reason', 'a move')).toMatchObject({ code: 0 });
  const listed = await run('list', 'shop');
  expect(listed).toMatchObject({
    code: 0,
    json: {
      schedules: [
        { name: 'base', state: 'paused', note: expect.stringMatching(/^paused by .+: a move$/), next: [] },
        { name: 'wal', state: 'active', runs: 0, missed: 0, skipped: 0, last: null },
      ],
    },
  });
  const [resumed, mistyped] = await Promise.all([run('resume', 'shop'), run('pause', 'shop', 'bass')]);
  expect(resumed).toMatchObject({ code: 0, json: { resumed: ['pgproof/cli/shop/base', 'pgproof/cli/shop/wal'] } });
  expect(mistyped).toMatchObject({
    code: 2,
    json: { error: { code: 'schedule-unknown', hint: "Did you mean 'base'?" } },
  });
  write({ shop: {} });
  await until(async () => (await plan(configOf('cli', { shop: {} }))).existing === 2);
  expect(await run('apply')).toMatchObject({ code: 3, json: { error: { code: 'schedules-unconfirmed' } } });
});

test('scenario 4: after Temporal was away, runs are made up for within the catch-up window, and older ones counted as missed', async () => {
  const config = configOf('away', { shop: { late: { run: 'walSync', every: '1m', catchup: '1h' } } });
  const [wanted] = wantedSchedules(config) as [WantedSchedule];
  const everySecond = (name: string, catchup: number) => ({
    ...wanted,
    id: `pgproof/away/shop/${name}`,
    when: { everySeconds: 1, offsetSeconds: 0 },
    catchup,
  });
  const made = [everySecond('patient', 3600), everySecond('impatient', 10)];
  const changes = made.map((one) => ({
    kind: 'create' as const,
    id: one.id,
    cluster: 'shop',
    name: one.name,
    wanted: one,
  }));
  await applySchedules(
    temporal.client,
    { fleet: 'away', changes, unchanged: 0, existing: 0, paused: [] },
    { confirmed: false, signal },
  );
  const info = async (one: WantedSchedule) => (await handle(one.id).describe()).info;
  await until(async () => (await info(made[1] as WantedSchedule)).numActionsTaken > 0);
  await server.stop();
  await new Promise((resolve) => setTimeout(resolve, 12_000)); // longer than the shorter window
  await server.start();
  const [patient, impatient] = made as [WantedSchedule, WantedSchedule];
  // Nobody takes the first run, so those that come late are left out, as the overlap says: but they were looked at.
  await until(async () => (await info(impatient)).numActionsMissedCatchupWindow > 0);
  await until(async () => (await info(patient)).numActionsSkippedOverlap > 10);
  expect((await info(patient)).numActionsMissedCatchupWindow).toBe(0);
});
