import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { CheckedHost } from '../../client/check-all.ts';
import type { Setup } from '../../client/init/plan.ts';
import { connectTemporal } from '../../client/temporal.ts';
import { loadConfig } from '../../host/config.ts';
import { runControl } from '../../workers/control.ts';
import { type Failed, pgproof } from '../client/cli.ts';
import { alternate } from '../support/postgres.ts';
import { openStage, type Stage, startWorker, type WorkerProcess } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { bundleCache, shortTimeouts, silent, startTemporal, type TestTemporal } from '../support/temporal.ts';

/** `shop` on db-7, whose worker runs, and `crm` on db-8, which is away. */
let temporal: TestTemporal;
let stage: Stage;
let worker: WorkerProcess;
let control: Promise<void>;
let asked: Awaited<ReturnType<typeof askAll>>;
const stop = new AbortController();

beforeAll(async () => {
  temporal = await startTemporal();
  stage = await openStage({ major: alternate(1)[0] as string, ports: temporal.ports });
  writeFileSync(
    stage.configFile,
    changed((config) => Object.assign(config.clusters, { crm: crm(config) })),
  );
  const serving = Promise.withResolvers<void>();
  control = runControl({
    config: await loadConfig(stage.configFile),
    temporal: temporal.settings,
    log: silent,
    signal: stop.signal,
    timeouts: { ...shortTimeouts, quick: { hello: 8, startToClose: 60, scheduleToClose: 90, firstRetry: 1 } },
    cache: bundleCache(),
    onServing: serving.resolve,
  });
  await Promise.race([serving.promise, control]);
  [worker] = await Promise.all([startWorker(stage), pollFromElsewhere()]);
  asked = await askAll();
});
afterAll(async () => {
  await worker?.stop();
  stop.abort();
  await control;
  await stage?.dispose();
  await temporal?.dispose();
});

/** As a worker of another machine does that has the same name: it asks for work once, while there is none. */
async function pollFromElsewhere(): Promise<void> {
  const { connection, settings, close } = await connectTemporal(temporal.settings, null);
  const { namespace } = settings;
  const poll = { namespace, taskQueue: { name: 'pgproof-main-db-7' }, identity: 'db-7 pid 7 on clone/0a1b2c3d' };
  const shortestMs = 2500; // a server takes no shorter poll
  await connection
    .withDeadline(Date.now() + shortestMs, () => connection.workflowService.pollActivityTaskQueue(poll))
    .catch(() => undefined);
  await close();
}

type Written = { fleet?: string; clusters: Record<string, Record<string, unknown>>; hosts: Record<string, unknown> };

const crm = ({ clusters, hosts }: Written) => {
  hosts['db-8'] = {};
  const schedules = { base: { run: 'backup', calendar: { at: '02:00' } } };
  return { ...clusters.shop, host: 'db-8', schedules };
};

function changed(change: (config: Written) => unknown): string {
  const config = parse(readFileSync(stage.configFile, 'utf8')) as Written;
  change(config);
  return stringify(config);
}

type All = { hosts: CheckedHost[]; schedules: { cluster: string; text: string }[] };

/** At the same time: most of it is waiting for somebody who is not there. */
async function askAll() {
  const check = (name: string, change: (config: Written) => unknown) => {
    const file = join(stage.folder, `${name}.yaml`);
    writeFileSync(file, changed(change));
    return pgproof(['check', '--all', '--config', file]);
  };
  const [plain, newer, elsewhere] = await Promise.all([
    check('plain', () => undefined),
    check('newer', ({ clusters }) => {
      Object.assign(clusters.shop as object, { objectives: { rpo: '10m' } });
      clusters.new = { ...clusters.crm };
      delete clusters.crm;
    }),
    check('elsewhere', (config) => Object.assign(config, { fleet: 'elsewhere' })),
  ]);
  return { plain, newer, elsewhere };
}

test('each host of each cluster is a row, and one that is away is a row, too', () => {
  const { code, json } = asked.plain;
  const all = json as All;
  expect(code).toBe(3);
  expect(all.hosts).toMatchObject([
    { cluster: 'shop', host: 'db-7', version: '0.1.0', problem: null, configDiffers: [] },
    {
      cluster: 'crm',
      host: 'db-8',
      version: null,
      problem: { code: 'worker-absent' },
      configDiffers: null,
      findings: [],
    },
  ]);
  expect(all.hosts[0]?.findings).toContainEqual(
    expect.objectContaining({
      name: 'host-twice',
      detail: expect.stringMatching(/2 machines .*'db-7': .*clone\/0a1b/),
    }),
  );
  expect(all.hosts[0]?.findings).toContainEqual(expect.objectContaining({ name: 'archive-round-trip', status: 'ok' }));
  expect(all.schedules).toEqual([{ cluster: 'crm', text: 'crm/base: missing' }]);
});

test('a configuration that is deployed by halves is named where it differs', () => {
  const { code, json } = asked.newer;
  expect(code).toBe(3);
  expect((json as All).hosts).toMatchObject([
    { cluster: 'shop', host: 'db-7', configDiffers: ['control worker', 'host'] },
    { cluster: 'new', host: null, problem: { code: 'cluster-unknown' } },
  ]);
});

test('where no control worker is, it says so and leaves nothing waiting', async () => {
  const { code, json } = asked.elsewhere;
  expect({ code, error: (json as Failed).error.code }).toEqual({ code: 1, error: 'worker-absent' });
  const { client, close } = await connectTemporal(temporal.settings, null);
  try {
    const { count } = await client.workflow.count("ExecutionStatus = 'Running' AND TaskQueue = 'pgproof-elsewhere'");
    expect(count).toBe(0);
  } finally {
    await close();
  }
});

test('what init writes is what `schedules apply` takes', async () => {
  const folder = tempDir();
  const env = { TEMPORAL_ADDRESS: temporal.settings.address, TEMPORAL_NAMESPACE: 'pgproof', XDG_STATE_HOME: folder };
  const args = ['init', 'other', '--host', 'db-9', '--socket', stage.server.socketDir, '--rto', '2h'];
  const { code, json } = await pgproof(args, { cwd: folder, env });
  expect({ code, strategy: (json as Setup).strategy?.name }).toEqual({ code: 0, strategy: 'middle' });
  const applied = await pgproof(['schedules', 'apply', '--dry-run'], { cwd: folder, env });
  expect(applied.code).toBe(0);
  const { changes } = applied.json as { changes: { kind: string; name: string }[] };
  const made = changes.filter(({ kind }) => kind === 'create').map(({ name }) => name);
  expect(made.sort()).toEqual(['base', 'drill', 'drill-dump', 'dump', 'expire', 'verify', 'wal']);
});

test.each([[['check']], [['check', 'shop', '--all']]])('%j is refused', async (args) => {
  expect(await pgproof(args)).toMatchObject({ code: 2, json: { error: { code: 'usage' } } });
});
