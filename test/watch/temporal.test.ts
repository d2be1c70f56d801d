import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { type Config, configSchema } from '../../core/config.ts';
import type { Timeouts } from '../../core/timeouts.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { currentEra } from '../../repository/eras.ts';
import { tagsOf } from '../../wal/archived.ts';
import { switchWal } from '../../wal/switch.ts';
import { applySchedules } from '../../workers/schedules/apply.ts';
import { planSchedules } from '../../workers/schedules/plan.ts';
import { pgproof } from '../client/cli.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';
import { alternate } from '../support/postgres.ts';
import { type Stage, startWorker, until, type WorkerProcess } from '../support/stage.ts';
import { shortTimeouts } from '../support/temporal.ts';

vi.setConfig({ testTimeout: 180_000 });

/** Temporal is killed, and then its database is lost. Host and control worker are configured differently besides. */

const longest = 7;
const brief: Timeouts = {
  quick: { hello: 5, startToClose: longest, scheduleToClose: 2 * longest, firstRetry: 1 },
  bulk: { ...shortTimeouts.bulk, startToClose: longest },
};

let fleet: Fleet;
let workers: WorkerProcess[] = [];
const { signal } = new AbortController();

beforeAll(async () => {
  fleet = await openFleet({ major: alternate(0)[0] as string, timeouts: brief, controlConfig: halfDeployed });
});
afterAll(() => fleet?.dispose());
afterEach(async () => {
  for (const worker of workers) await worker.stop();
  workers = [];
});

/** The host's newer configuration has an objective for backups, and a cluster; the control worker's has another cluster. */
async function halfDeployed({ configFile }: Stage): Promise<Config> {
  const written = parse(readFileSync(configFile, 'utf8')) as { clusters: Record<string, Record<string, unknown>> };
  const { shop } = written.clusters as { shop: Record<string, unknown> };
  const schedules = { nightly: { run: 'backup', cron: '0 2 * * *' } };
  const here = { shop: { ...shop, schedules, objectives: { backup: '4s' } }, here: shop };
  writeFileSync(configFile, stringify({ ...written, clusters: here }));
  return configSchema.parse({ ...written, clusters: { shop: { ...shop, schedules }, there: shop } });
}

async function work(serving = true): Promise<WorkerProcess> {
  const worker = await startWorker(fleet.stage, serving);
  workers.push(worker);
  return worker;
}

const offline = (...args: string[]) =>
  pgproof([...args, '--offline', '--config', fleet.stage.configFile, '--host', 'db-7']);

test('configurations that differ are said in the notes of a run, and a cluster that only one side knows is refused', async () => {
  await work();
  const filed = await fleet.finish(await fleet.start('walSync'));
  expect(filed).toMatchObject({ report: { operation: 'walSync', status: 'SUCCESS' } });
  const said = ["the control worker and db-7 have different configurations of shop; db-7's counts"];
  expect(filed).toMatchObject({ notes: said, report: { result: { notes: said } } });
  const asked = async (cluster: string) => fleet.finish(await fleet.start('walSync', { cluster }));
  await expect(asked('there')).rejects.toMatchObject({
    code: 'cluster-unknown',
    message: expect.stringContaining('pgproof.yaml'),
    facts: { cluster: 'there', known: ['shop', 'here'] },
  });
  await expect(asked('here')).rejects.toMatchObject({
    code: 'cluster-unknown',
    message: "the configuration defines no cluster 'here'",
    facts: { known: ['shop', 'there'] },
  });
});

test('scenario 4: Temporal is away for longer than every timeout, the worker restarted meanwhile: WAL is shipped, backups are taken offline, and the run goes on', async () => {
  const first = await work();
  await fleet.stage.letShip(false);
  const run = await fleet.start('backup');
  await until(async () => (await pending(run.workflowId)) === 'awaitWal');
  const since = Date.now();
  await fleet.server.stop();
  first.kill('SIGKILL');
  await first.ended;
  const second = await work(false);
  await fleet.stage.letShip(true);
  expect(await isShipped()).toBe(true);

  const taken = await offline('backup', 'shop');
  expect(taken).toMatchObject({ code: 0, json: { status: 'SUCCESS' } });
  expect(await offline('wal', 'sync', 'shop')).toMatchObject({ code: 0, json: { result: { objective: 'kept' } } });
  await until(() => Date.now() - since > longest * 1000 + 1000);

  await fleet.server.start();
  await until(() => readFileSync(second.logFile, 'utf8').includes('takes work'));
  const { report } = await fleet.finish(run);
  expect(report.status).toBe('SUCCESS');
  expect(await listed()).toEqual(expect.arrayContaining([report.result.id, idOf(taken.json)]));
});

test('Temporal’s database is lost between two backups: the host alarms by itself, until schedules are there again', async () => {
  const { client } = fleet.temporal;
  const apply = async (): Promise<void> => {
    const config = { ...fleet.stage.host.config, clusters: { shop: scheduled() } };
    await applySchedules(client, await planSchedules(client, config, { signal }), { confirmed: true, signal });
  };
  const { logFile } = await work();
  await apply();
  const before = await runSchedule();
  await fleet.server.stop();
  rmSync(join(fleet.server.folder, 'state'), { recursive: true });
  await fleet.server.start();
  await expect(client.schedule.getHandle('pgproof/main/shop/nightly').describe()).rejects.toThrow('not found');

  await until(() => alarms(logFile).some(({ facts }) => facts.newest === before));
  const alarm = alarms(logFile).find(({ facts }) => facts.newest === before);
  expect(alarm).toMatchObject({
    level: 50,
    cluster: 'shop',
    code: 'objective-broken',
    facts: { objective: 'backup', repository: 'local', limitSeconds: 4 },
    hint: expect.stringContaining('pgproof schedules apply'),
  });
  expect(await isShipped()).toBe(true);

  await apply();
  const after = await runSchedule();
  expect(await listed()).toEqual(expect.arrayContaining([before, after]));
  // Another one where the host was too slow to look while this one was young.
  while (!readFileSync(logFile, 'utf8').includes('no longer so: the newest backup')) await runSchedule();
});

/** As the control worker's configuration has it. */
function scheduled(): Config['clusters'][string] {
  const { shop } = fleet.stage.host.config.clusters as { shop: Config['clusters'][string] };
  const parsed = configSchema.parse(parse(readFileSync(fleet.stage.configFile, 'utf8')));
  return { ...shop, schedules: (parsed.clusters.shop as Config['clusters'][string]).schedules };
}

/** Triggers the nightly backup now. @returns the id of the backup it took. */
async function runSchedule(): Promise<string> {
  const before = await listed();
  await fleet.temporal.client.schedule.getHandle('pgproof/main/shop/nightly').trigger();
  let taken: string | undefined;
  await until(async () => {
    taken = (await listed()).find((id) => !before.includes(id));
    return taken !== undefined;
  });
  return taken as string;
}

type Alarm = { level: number; cluster: string; code: string; facts: Record<string, unknown>; hint: string };

const alarms = (logFile: string): Alarm[] =>
  readFileSync(logFile, 'utf8')
    .split('\n')
    .filter((line) => line.includes('ALARM: '))
    .map((line) => JSON.parse(line) as Alarm);

const idOf = (report: unknown): string => (report as { result: { id: string } }).result.id;

async function listed(): Promise<string[]> {
  const { repository, keys, name } = fleet.stage.cluster;
  const entries = await listBackups(repository, keys, name);
  expect(entries.every(({ state }) => state === 'whole')).toBe(true);
  return entries.map(({ id }) => id);
}

/** Whether WAL that is written now comes to be in the repository. */
async function isShipped(): Promise<boolean> {
  const { stage } = fleet;
  await stage.server.sql('CREATE TABLE IF NOT EXISTS ticks (n int)');
  const { segment } = await switchWal(stage.cluster);
  const { era } = (await currentEra(stage.cluster.repository, 'shop')) as { era: string };
  await until(async () => (await tagsOf(stage.cluster, era, segment)).length === 1);
  return true;
}

async function pending(workflowId: string): Promise<string | undefined> {
  const { raw } = await fleet.temporal.client.workflow.getHandle(workflowId).describe();
  return raw.pendingActivities?.[0]?.activityType?.name ?? undefined;
}
