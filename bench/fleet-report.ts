import type { Config } from '../core/config.ts';
import { formatBytes } from '../core/format.ts';
import { runsADay, stepSeconds } from './fleet-config.ts';
import { type Delays, percentile, type Runs } from './fleet-runs.ts';
import type { ServerFigures } from './fleet-server.ts';

export type Phase = {
  server: ServerFigures;
  control: { cpuSeconds: number; memoryBytes: number };
  hosts: { cpuSeconds: number; memoryBytes: number };
  runs: Runs;
  delays: Delays;
};

const day = 86_400;
const heartbeat = 'grpc_RecordActivityTaskHeartbeat';

/** The long steps of each operation. The others end within two seconds, and send none. */
const longSteps: Record<string, readonly string[]> = {
  backup: ['copyBase', 'awaitWal'],
  dump: ['takeDump'],
  copy: ['copyOffsite'],
  verify: ['runVerify'],
  drill: ['runDrill'],
  expire: ['runExpire'],
};

/** The first after two seconds, then one every 20: what the workers' throttle lets through. */
export function heartbeatsADay(config: Config): number {
  const ofStep = (name: string): number => 1 + Math.floor(((stepSeconds[name] ?? 0) - 2) / 20);
  return Object.entries(runsADay(config))
    .map(([operation, runs]) => runs * (longSteps[operation] ?? []).map(ofStep).reduce((sum, each) => sum + each, 0))
    .reduce((sum, each) => sum + each, 0);
}

export function reportPhase({ server, control, hosts, runs, delays }: Phase, factor: number, clusters: number): void {
  const seconds = server.at / 1000;
  const ended = Object.values(runs.ended).reduce((sum, each) => sum + each.runs, 0);
  /** Of a cluster and day, from a count of this phase. */
  const daily = (count: number): string => ((count * day) / (seconds * factor * clusters)).toFixed(1);
  const cores = (cpuSeconds: number): string => (cpuSeconds / seconds).toFixed(2);
  console.log(
    `${seconds.toFixed(0)} s, ${factor} times faster than in truth: ${((seconds * factor) / 60).toFixed(0)} minutes of the day`,
  );
  console.log(
    `  runs: ${ended} ended (${(ended / seconds).toFixed(1)} a second), ${runs.running} under way, ${runs.failed} failed`,
  );
  for (const [type, { runs: count, events, bytes, seconds: took }] of Object.entries(runs.ended))
    console.log(`    ${type}: ${count}, history ${events} events, ${bytes} bytes, ${took.toFixed(1)} s (medians)`);
  line('start delay, until the run starts', delays.started);
  line('start delay, until its first own step runs on its host', delays.begun);
  console.log(`  actions of a cluster and day, by the server's metric:`);
  for (const [kind, count] of Object.entries(server.actions).toSorted(([, one], [, other]) => other - one))
    console.log(`    ${kind}: ${daily(count)}`);
  const all = Object.values(server.actions).reduce((sum, each) => sum + each, 0);
  const beats = server.actions[heartbeat] ?? 0;
  console.log(`    without heartbeats ${daily(all - beats)}, heartbeats ${daily(beats)}`);
  const calls = Object.entries(server.persistence).toSorted(([, one], [, other]) => other - one);
  const allCalls = calls.reduce((sum, [, count]) => sum + count, 0);
  console.log(
    `  database calls: ${(allCalls / ended).toFixed(0)} a run, ${(allCalls / seconds).toFixed(0)} a second (${calls
      .slice(0, 6)
      .map(([kind, count]) => `${kind} ${(count / ended).toFixed(1)}`)
      .join(', ')})`,
  );
  console.log(
    `  Temporal: ${cores(server.cpuSeconds)} cores, ${formatBytes(server.memoryBytes)}; control worker and bench: ${cores(control.cpuSeconds)} cores, ${formatBytes(control.memoryBytes)}; ${clusters} hosts' workers: ${cores(hosts.cpuSeconds)} cores, ${formatBytes(hosts.memoryBytes)}`,
  );
  console.log(`  refused: ${JSON.stringify(server.refused)}`);
}

function line(what: string, values: readonly number[]): void {
  const at = (percent: number): string => `p${percent} ${percentile(values, percent).toFixed(2)} s`;
  console.log(`  ${what}: ${at(50)}, ${at(99)} (${values.length} runs)`);
}
