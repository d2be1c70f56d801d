import type { DataConverter } from '@temporalio/common';
import type { NativeConnection, Worker } from '@temporalio/worker';
import { createHostActivities } from '../activities/host.ts';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import { hostQueues } from '../core/queues.ts';
import type { Host } from '../host/host.ts';
import { keepServing } from './connection.ts';
import { createHostWorkers } from './host-workers.ts';
import { startLoops } from './loops.ts';
import { identityOf, watchTwins } from './machines.ts';
import { openDataConverter } from './payloads.ts';
import { installRuntime } from './runtime.ts';
import { serveWorkers } from './serve.ts';
import type { TemporalSettings } from './temporal.ts';
import { version } from './version.ts';

export type HostOptions = {
  host: Host;
  temporal: TemporalSettings;
  /** Ends it: running steps get `graceSeconds` to finish, then they are cancelled and tried again by the next worker. */
  signal: AbortSignal;
  graceSeconds?: number;
  /** Waited for before the first connection; WAL shipping does not wait. */
  after?: Promise<void>;
  /** Called each time the worker begins to take work. */
  onServing?: () => void;
};

/**
 * The worker of a database host, until `signal` aborts: ships the WAL and writes the heartbeats of its clusters, and
 * takes steps from the host's three queues. Shipping begins before, and goes on without, any connection to Temporal.
 * @throws {PgproofError} `root-refused`; what is wrong with the configuration when no cluster of this host can be opened.
 */
export async function runHost({
  host,
  temporal,
  signal,
  graceSeconds = 20,
  after,
  onServing,
}: HostOptions): Promise<void> {
  refuseRoot();
  const loops = await startLoops(host);
  try {
    installRuntime(host.log);
    const serve = async (connection: NativeConnection): Promise<void> => {
      const dataConverter = await openWhenReadable(temporal.payloadKeyFile);
      const options = { namespace: temporal.namespace, dataConverter, graceSeconds };
      const ended = new AbortController();
      const queue = { namespace: temporal.namespace, taskQueue: hostQueues(host.config.fleet, host.name).quick };
      const twins = watchTwins(connection.workflowService, queue, {
        host: host.name,
        log: host.log,
        signal: AbortSignal.any([signal, ended.signal]),
      });
      try {
        await serveWorkers(await createWorkers(connection, host, options), { signal, onServing });
      } finally {
        ended.abort();
        await twins;
      }
    };
    await keepServing(temporal, serve, { what: `the worker of ${host.name}`, log: host.log, signal, after });
  } finally {
    await loops.stop(); // last: a step that was finishing may have needed the WAL
  }
}

/** A key for payloads that cannot be read is waited for like a Temporal that cannot be reached: WAL is shipped meanwhile. */
async function openWhenReadable(keyFile: string | undefined): Promise<DataConverter> {
  try {
    return await openDataConverter(keyFile);
  } catch (error) {
    throw new Error(`payloads cannot be sealed: ${asPgproofError(error).message}`, { cause: error });
  }
}

type WorkersOptions = { namespace: string; dataConverter: DataConverter; graceSeconds: number };

async function createWorkers(
  connection: NativeConnection,
  host: Host,
  { graceSeconds, ...where }: WorkersOptions,
): Promise<Worker[]> {
  const queues = hostQueues(host.config.fleet, host.name);
  const shared = {
    ...where,
    connection,
    identity: identityOf(host.name),
    activities: createHostActivities(host, version()),
    shutdownGraceTime: graceSeconds * 1000,
    shutdownForceTime: (graceSeconds + 30) * 1000,
  };
  return createHostWorkers(shared, queues, slotsOf(host));
}

const slotsOf = ({ config, name }: Host): number => config.hosts[name]?.slots ?? 1;

/** PostgreSQL's programs refuse root too, and what root writes the server's user could not read. */
export function refuseRoot(): void {
  if (process.getuid?.() !== 0) return;
  throw new PgproofError('root-refused', 'a worker does not run as root', {
    hint: 'Run it as the OS user that owns the data directory, usually postgres: su postgres -s /bin/sh -c "pgproof worker"',
  });
}
