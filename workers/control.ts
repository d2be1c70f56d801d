import { Client } from '@temporalio/client';
import { type NativeConnection, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createControlActivities } from '../activities/control.ts';
import type { Config } from '../core/config.ts';
import { controlQueue } from '../core/queues.ts';
import { timeouts as defaultTimeouts, type Timeouts } from '../core/timeouts.ts';
import { workflowBundle } from './bundle.ts';
import { keepServing } from './connection.ts';
import { openDataConverter } from './payloads.ts';
import { installRuntime } from './runtime.ts';
import { watchSchedules } from './schedules/watch.ts';
import { ensureSearchAttributes } from './search-attributes.ts';
import { serveWorkers } from './serve.ts';
import type { TemporalSettings } from './temporal.ts';

export type ControlOptions = {
  config: Config;
  temporal: TemporalSettings;
  log: Logger;
  /** Ends it: running workflow tasks are finished first. */
  signal: AbortSignal;
  /** Tests set seconds. */
  timeouts?: Timeouts;
  /** A private folder that keeps the bundled workflows for the next start. */
  cache?: string;
  /** Waited for before the first connection. */
  after?: Promise<void>;
  /** Begin with making the schedules those of the configuration: for the embedded server, which is disposable. */
  applySchedules?: boolean;
  /** Called each time the worker begins to take work. */
  onServing?: () => void;
};

/**
 * Runs the workflows and the steps that need no host, until `signal` aborts. It reads which host a cluster is on, and
 * has no rights on any database. Says at once and every hour when the schedules in Temporal are not those of its
 * configuration.
 * @throws {PgproofError} `search-attribute-missing`: every run would stand still for ever.
 */
export async function runControl({
  config,
  temporal,
  log,
  signal,
  timeouts = defaultTimeouts,
  cache,
  after,
  applySchedules = false,
  onServing,
}: ControlOptions): Promise<void> {
  installRuntime(log);
  const dataConverter = await openDataConverter(temporal.payloadKeyFile);
  const { failureConverterPath } = dataConverter;
  const bundle = await workflowBundle({ cache, failureConverterPath }); // before the first connection: it takes seconds
  const serve = async (connection: NativeConnection): Promise<void> => {
    await ensureSearchAttributes(connection, temporal.namespace);
    const worker = await Worker.create({
      connection,
      namespace: temporal.namespace,
      identity: `control pid ${process.pid}`,
      taskQueue: controlQueue(config.fleet),
      workflowBundle: bundle,
      dataConverter,
      activities: createControlActivities({ config, timeouts }),
      maxCachedWorkflows: 200,
      shutdownForceTime: '20 seconds',
    });
    const client = new Client({ connection, namespace: temporal.namespace, dataConverter });
    const ended = new AbortController();
    const watching = watchSchedules(client, config, {
      log,
      signal: AbortSignal.any([signal, ended.signal]),
      apply: applySchedules,
    });
    try {
      await serveWorkers([worker], { signal, onServing });
    } finally {
      ended.abort();
      await watching;
    }
  };
  await keepServing(temporal, serve, { what: 'the control worker', log, signal, after });
}
