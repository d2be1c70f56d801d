import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { WorkflowService } from '@temporalio/client';
import type { Logger } from 'pino';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import { waited } from '../storage/waited.ts';

/* One machine a host: two workers of one name would take each other's steps, each with its own server, spool and state. */

/** Who polls, as Temporal shows it. */
export const identityOf = (host: string): string => `${host} pid ${process.pid} on ${thisMachine()}`;

/** Cloned machines share their names and machine ids, never what the kernel draws at boot; containers share that, and not their names. */
function thisMachine(): string {
  try {
    return `${hostname()}/${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)}`;
  } catch {
    return hostname();
  }
}

/** Temporal remembers pollers for minutes; one that lives comes back within one. */
const livesMs = 100_000;

type Queue = { namespace: string; taskQueue: string };

/**
 * The machines whose workers take steps from a host's queue, or did so until a minute ago.
 * @returns `name/boot`, the one seen last first. Workers of older versions do not say where they run.
 */
export async function machinesAt(service: WorkflowService, { namespace, taskQueue }: Queue): Promise<string[]> {
  const { pollers } = await service.describeTaskQueue({ namespace, taskQueue: { name: taskQueue }, taskQueueType: 2 });
  const seen = (pollers ?? [])
    .map(({ identity, lastAccessTime }) => ({
      machine: / on (\S+)$/.exec(identity ?? '')?.[1],
      atMs: Number(lastAccessTime?.seconds ?? 0) * 1000,
    }))
    .sort((a, b) => b.atMs - a.atMs);
  const living = seen.filter(({ atMs }) => (seen[0]?.atMs ?? 0) - atMs < livesMs);
  return [...new Set(living.flatMap(({ machine }) => machine ?? []))];
}

/** What is wrong where there are several; null: nothing. */
export function twinsOf(host: string, machines: readonly string[]): PgproofError | null {
  if (machines.length < 2) return null;
  return new PgproofError('host-twice', `${machines.length} machines work as host '${host}': ${machines.join(', ')}`, {
    facts: { host, machines },
    hint: 'Each step goes to either of them. Stop the worker of the wrong one, or give it a name of its own under `hosts`.',
  });
}

/** Later than whoever was here before is forgotten. */
const firstMs = 180_000;
const everyMs = 3_600_000;

/** Says every hour when another machine works as this host, until `signal` aborts. */
export async function watchTwins(
  service: WorkflowService,
  queue: Queue,
  { host, log, signal }: { host: string; log: Logger; signal: AbortSignal },
): Promise<void> {
  for (let waitMs = firstMs; await waited(waitMs, signal); waitMs = everyMs) {
    try {
      const twins = twinsOf(host, await machinesAt(service, queue));
      if (twins !== null) log.error({ ...twins.toDocument() }, `ALARM: ${twins.message}`);
    } catch (error) {
      if (signal.aborted) return;
      log.warn({ err: asPgproofError(error).message }, 'it cannot be seen whether another machine works as this host');
    }
  }
}
