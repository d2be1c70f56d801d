import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { locateTemporal } from '../workers/embedded/locate.ts';
import { prepareNamespace } from '../workers/embedded/namespace.ts';
import { searchAttributes } from '../workers/search-attributes.ts';
import { embeddedNamespace, type TemporalSettings } from '../workers/temporal.ts';

/** A Temporal server whose own metrics can be read. */
export type FleetServer = {
  settings: TemporalSettings;
  figures(): Promise<ServerFigures>;
  stop(): Promise<void>;
};

/** Counted since it started. */
export type ServerFigures = {
  at: number;
  /** What Temporal Cloud would bill, by kind, in our namespace. */
  actions: Record<string, number>;
  /** Calls of its database, by kind: what a self-hosted server's PostgreSQL has to bear. */
  persistence: Record<string, number>;
  /** Calls it refused, by the limit that they met. */
  refused: Record<string, number>;
  cpuSeconds: number;
  memoryBytes: number;
};

/**
 * What docs/scale.md asks of a server. A namespace may have 1,200 open polls of a kind at each frontend, enough for 400 hosts; and
 * each queue has four partitions, of which a host's needs one.
 */
const dynamicConfig = {
  'frontend.namespaceCount': 50_000,
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
};

/** The dev server as `pgproof up` starts it (server 1.29, SQLite), with its metrics. Stop it. */
export async function startFleetServer(folder: string): Promise<FleetServer> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const address = `127.0.0.1:${port}`;
  const log = openSync(join(folder, 'server.log'), 'a');
  const server = [
    ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--port', `${port}`],
    ...['--metrics-port', `${metricsPort}`, '--db-filename', join(folder, 'temporal.db')],
    ...['--namespace', embeddedNamespace, '--log-level', 'error'],
    ...Object.entries(dynamicConfig).flatMap(([key, value]) => ['--dynamic-config-value', `${key}=${value}`]),
    ...searchAttributes.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
  ];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', locateTemporal(process.env), ...server], {
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  const metrics = `http://127.0.0.1:${metricsPort}/metrics`;
  try {
    await prepareNamespace(address, AbortSignal.timeout(60_000));
    await answers(metrics);
  } catch (error) {
    await stop();
    throw error;
  }
  return { settings: settingsOf(address), figures: () => figuresOf(metrics, child.pid as number), stop };
}

/** One that runs already, whose metrics are at a URL; its namespace is `pgproof`. */
export function fleetServerAt(address: string, metrics: string, pid: number): FleetServer {
  return { settings: settingsOf(address), figures: () => figuresOf(metrics, pid), stop: async () => undefined };
}

function settingsOf(address: string): TemporalSettings {
  return { address, namespace: embeddedNamespace, embedded: true, uiUrl: null, connection: { address } };
}

export function differenceOf(after: ServerFigures, before: ServerFigures): ServerFigures {
  return {
    at: after.at - before.at,
    actions: minus(after.actions, before.actions),
    persistence: minus(after.persistence, before.persistence),
    refused: minus(after.refused, before.refused),
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    memoryBytes: after.memoryBytes,
  };
}

async function figuresOf(url: string, pid: number): Promise<ServerFigures> {
  const lines = (await (await fetch(url)).text()).split('\n');
  const actions: Record<string, number> = {};
  const persistence: Record<string, number> = {};
  const refused: Record<string, number> = {};
  for (const line of lines) {
    const [, name, labels = '', value] = /^(\w+)\{(.*)\} ([\d.e+]+)$/.exec(line) ?? [];
    const label = (key: string): string => new RegExp(`(?:^|,)${key}="([^"]*)"`).exec(labels)?.[1] ?? '';
    if (name === 'action' && label('namespace') === embeddedNamespace)
      add(actions, label('action_type'), Number(value));
    if (name === 'persistence_requests') add(persistence, label('operation'), Number(value));
    if (name === 'service_errors_resource_exhausted')
      add(refused, `${label('service_name')} ${label('resource_exhausted_cause')}`, Number(value));
  }
  return { at: Date.now(), actions, persistence, refused, ...processFigures(pid) };
}

/** @returns CPU time and resident memory. */
export function processFigures(pid: number): { cpuSeconds: number; memoryBytes: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]); // utime, stime: hundredths of a second on Linux
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return { cpuSeconds: ticks / 100, memoryBytes: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024 };
}

function add(counts: Record<string, number>, key: string, value: number): void {
  counts[key] = (counts[key] ?? 0) + value;
}

function minus(after: Record<string, number>, before: Record<string, number>): Record<string, number> {
  const differences = Object.entries(after).map(([key, value]): [string, number] => [key, value - (before[key] ?? 0)]);
  return Object.fromEntries(differences.filter(([, value]) => value > 0));
}

async function answers(url: string): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.text();
    if (answer?.ok) return;
    if (tries > 100) throw new Error(`no metrics at ${url}`);
    await sleep(100);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
