import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { connectTemporal, type Temporal } from '../client/temporal.ts';
import type { Config } from '../core/config.ts';
import { runControl } from '../workers/control.ts';
import { fleetConfig } from './fleet-config.ts';
import type { Begun, HostsOrder, Said, Told } from './fleet-hosts.ts';
import { type FleetServer, fleetServerAt, startFleetServer } from './fleet-server.ts';

/** A whole fleet on this machine: a real Temporal server, the real control worker, stub engines on real hosts' queues. */
export type BenchFleet = {
  config: Config;
  server: FleetServer;
  temporal: Temporal;
  hosts: {
    pid: number;
    /** From now on steps go by so many times faster than in truth. */
    pace(factor: number): void;
  };
  /** By workflow id. */
  begun: ReadonlyMap<string, Begun>;
  close(): Promise<void>;
};

/**
 * @param cache a folder that keeps the bundled workflows.
 * @returns the fleet, once all workers take work. Close it.
 */
export async function openBenchFleet(clusters: number, cache?: string): Promise<BenchFleet> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), 'fleet-'));
    closers.push(async () => rmSync(folder, { recursive: true, force: true }));
    const config = fleetConfig(clusters);
    const server = ownServer(process.env) ?? (await startFleetServer(folder));
    closers.push(server.stop);
    const { settings } = server;
    const temporal = await connectTemporal(settings, null);
    closers.push(temporal.close);
    closers.push(await startControl(config, server, cache));
    const begun = new Map<string, Begun>();
    const { address, namespace } = settings;
    const hosts = await startHosts({ address, namespace, clusters }, begun);
    closers.push(hosts.stop);
    return { config, server, temporal, hosts, begun, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A server of somebody's own: its address, the URL of its metrics, its process. */
function ownServer({ BENCH_TEMPORAL = '' }: NodeJS.ProcessEnv): FleetServer | undefined {
  const [address, metrics, pid] = BENCH_TEMPORAL.split(' ');
  return address && metrics && pid ? fleetServerAt(address, metrics, Number(pid)) : undefined;
}

async function startControl(config: Config, server: FleetServer, cache?: string): Promise<() => Promise<void>> {
  const stop = new AbortController();
  const serving = Promise.withResolvers<void>();
  const running = runControl({
    config,
    temporal: server.settings,
    log: pino({ level: 'fatal' }, pino.destination(2)), // it says that schedules differ: they do
    signal: stop.signal,
    cache,
    onServing: serving.resolve,
  });
  await Promise.race([serving.promise, running]);
  return async () => {
    stop.abort();
    await running;
  };
}

async function startHosts(
  order: HostsOrder,
  begun: Map<string, Begun>,
): Promise<BenchFleet['hosts'] & { stop(): Promise<void> }> {
  const child = fork(join(import.meta.dirname, 'fleet-hosts.ts'), [JSON.stringify(order)], { stdio: 'inherit' });
  const ended = once(child, 'exit');
  const serving = Promise.withResolvers<void>();
  child.on('message', (said: Said) => {
    if (said === 'serving') return serving.resolve();
    for (const each of said) begun.set(each.workflowId, each);
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL'); // they hold nothing; a thousand of them would take a minute to say goodbye
    await ended;
  };
  await Promise.race([serving.promise, failedToStart(child, ended)]);
  const pace = (factor: number): void => void child.send({ factor } satisfies Told);
  return { pid: child.pid as number, pace, stop };
}

async function failedToStart(child: ChildProcess, ended: Promise<unknown>): Promise<never> {
  await ended;
  throw new Error(`the hosts' process ended with ${child.exitCode ?? child.signalCode}`);
}
