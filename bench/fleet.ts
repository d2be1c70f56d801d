import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startOperation } from '../client/temporal.ts';
import { inParallel } from '../core/parallel.ts';
import { endRun, startRun } from '../test/support/places.ts';
import { runsADay } from './fleet-config.ts';
import { type BenchFleet, openBenchFleet } from './fleet-of.ts';
import { heartbeatsADay, type Phase, reportPhase } from './fleet-report.ts';
import { readDelays, readRuns, settled } from './fleet-runs.ts';
import { applyFleet } from './fleet-schedules.ts';
import { differenceOf, processFigures } from './fleet-server.ts';

/*
 * A thousand clusters on one machine: a real Temporal server (the dev server, SQLite; or BENCH_TEMPORAL='ADDRESS METRICS-URL PID'), the
 * real control worker, real schedules and workflows; the hosts' workers all in one process, with engines that take the time
 * of real ones, divided by the factor, and do nothing. The day goes by FACTOR times faster for so many SECONDS; then every cluster
 * is asked for a run at once.
 *   fleet.ts [CLUSTERS] [FACTOR] [SECONDS]
 */

const [clusters = 1000, factor = 1, seconds = 120] = process.argv.slice(2).map(Number);
const marked = startRun();
Object.assign(process.env, marked.env);
const cache = join(marked.dir, 'workflows');
mkdirSync(cache);
let fleet: BenchFleet | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void close().then(() => process.exit(130)));
try {
  fleet = await openBenchFleet(clusters, cache);
  const { server } = fleet;
  const quiet = await settled(async () =>
    Object.values((await server.figures()).refused).reduce((sum, each) => sum + each, 0),
  );
  console.log(`${clusters} hosts with three queues each are there; nobody is refused after ${quiet.toFixed(0)} s`);
  say(`runs of a cluster and day: ${JSON.stringify(runsADay(fleet.config))}`);
  say(`heartbeats of a cluster and day, at the steps' true durations: ${heartbeatsADay(fleet.config).toFixed(0)}`);
  await applied(fleet, factor);
  reportPhase(await phase(fleet), factor, clusters);
  await burst(fleet);
} finally {
  await close();
}

async function applied(on: BenchFleet, by: number): Promise<void> {
  on.hosts.pace(by);
  const { schedules, seconds: took, tries } = await applyFleet(on, by);
  say(`schedules apply: ${schedules} in ${took.toFixed(0)} s${tries > 1 ? `, ${tries} tries` : ''}`);
  const worked = await settled(
    async () => (await on.server.figures()).actions.command_UpsertWorkflowSearchAttributes ?? 0,
  );
  say(`Temporal has worked them in after another ${worked.toFixed(0)} s`);
}

async function phase(on: BenchFleet): Promise<Phase> {
  const look = async () => ({
    server: await on.server.figures(),
    control: processFigures(process.pid),
    hosts: processFigures(on.hosts.pid),
  });
  const [since, before] = [new Date(), await look()];
  await sleep(seconds * 1000);
  const after = await look();
  await sleep(5000); // visibility is some seconds behind
  return {
    server: differenceOf(after.server, before.server),
    control: { ...after.control, cpuSeconds: after.control.cpuSeconds - before.control.cpuSeconds },
    hosts: { ...after.hosts, cpuSeconds: after.hosts.cpuSeconds - before.hosts.cpuSeconds },
    runs: await readRuns(on, since),
    delays: await readDelays(on, since),
  };
}

/** Every cluster at once, as after an outage: how many runs a second this machine can end. */
async function burst(on: BenchFleet): Promise<void> {
  const { client } = on.temporal;
  const began = performance.now();
  await inParallel(
    Object.keys(on.config.clusters),
    { width: 200, signal: AbortSignal.timeout(600_000) },
    async (cluster) => {
      const { workflowId } = await startOperation(on.temporal, on.config.fleet, 'walSync', { cluster });
      await client.workflow.getHandle(workflowId).result();
    },
  );
  const took = (performance.now() - began) / 1000;
  say(`a walSync of every cluster at once: ${took.toFixed(0)} s, ${(clusters / took).toFixed(1)} runs a second`);
}

function say(text: string): void {
  console.log(text);
}

async function close(): Promise<void> {
  const open = fleet;
  fleet = undefined;
  await open?.close();
  endRun(marked);
}
