import { join } from 'node:path';
import type { Timeouts } from '../core/timeouts.ts';
import type { Host } from '../host/host.ts';
import { runControl } from './control.ts';
import { openEmbedded } from './embedded/server.ts';
import { refuseRoot, runHost } from './host.ts';
import { type TemporalSettings, temporalSettings } from './temporal.ts';

export type UpOptions = {
  host: Host;
  /** Ends it all, in order: steps, workers, WAL shipping, Temporal. */
  signal: AbortSignal;
  env: NodeJS.ProcessEnv;
  /** Once, as soon as workflows can be started. */
  onReady?: (temporal: TemporalSettings) => void;
  /** Tests set seconds. */
  timeouts?: Timeouts;
  graceSeconds?: number;
};

/**
 * Everything on one machine, in one process: the embedded Temporal server (unless TEMPORAL_ADDRESS or a profile names
 * another), the control worker, and this host's worker. Ends when `signal` aborts, or when one of them cannot go on.
 * @throws {PgproofError} `port-in-use`, `tool-missing`, `root-refused`, or what is wrong with the configuration.
 */
export async function runUp(options: UpOptions): Promise<void> {
  const { host, env, signal } = options;
  refuseRoot();
  const temporal = temporalSettings(host.config, env);
  if (!temporal.embedded) return runBoth(options, temporal, signal);

  const { embedded: ports } = host.config.temporal;
  const server = await openEmbedded({
    ports,
    folder: join(host.stateDir, 'temporal'),
    owner: host.stateDir,
    log: host.log,
    env,
  });
  const workersEnded = new AbortController();
  const serving = server.run(workersEnded.signal);
  try {
    await runBoth(options, temporal, signal, server.ready);
  } finally {
    workersEnded.abort(); // after the workers: they tell it how their steps ended
    await serving;
  }
}

async function runBoth(
  { host, timeouts, graceSeconds, onReady }: UpOptions,
  temporal: TemporalSettings,
  signal: AbortSignal,
  after?: Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const shared = { temporal, signal: AbortSignal.any([signal, failed.signal]), after };
  const ready = new Set<string>();
  const onServing = (who: string) => (): void => {
    if (!ready.has(who) && ready.add(who).size === 2) onReady?.(temporal);
  };
  const workers = [
    runControl({
      ...shared,
      config: host.config,
      log: host.log,
      timeouts,
      cache: join(host.stateDir, 'workflows'),
      applySchedules: temporal.embedded,
      onServing: onServing('control'),
    }),
    runHost({ ...shared, host, graceSeconds, onServing: onServing('host') }),
  ];
  const results = await Promise.allSettled(
    workers.map((worker) =>
      worker.catch((error) => {
        failed.abort();
        throw error;
      }),
    ),
  );
  const broken = results.find((result) => result.status === 'rejected');
  if (broken !== undefined) throw broken.reason;
}
