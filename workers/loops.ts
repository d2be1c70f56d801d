import { setTimeout as sleep } from 'node:timers/promises';
import { asPgproofError, type PgproofError } from '../core/errors.ts';
import { findCluster, localCluster, openCluster } from '../host/cluster.ts';
import type { Host } from '../host/host.ts';
import { runHeartbeat } from '../wal/heartbeat.ts';
import { runShipper } from '../wal/shipper.ts';
import { loopPatienceMs } from './patience.ts';
import { keepSink } from './sink.ts';
import { keepWatch } from './watch.ts';

export type Loops = { stop(): Promise<void> };

/**
 * Starts, for each cluster of this host, the loops that must run whatever else happens: WAL shipping, heartbeats, the watch; and
 * for the host the one that sends reports to the sink. A
 * cluster that cannot be opened is tried again for ever and does not hold up the others.
 * @throws {PgproofError} the first cluster's, when all of them are configured wrongly. A repository that is not there is
 * waited for: at boot its file system may come later than we do.
 */
export async function startLoops(host: Host): Promise<Loops> {
  const names = Object.keys(host.config.clusters).filter((name) =>
    host.config.clusters[name]?.host.includes(host.name),
  );
  await refuseHopeless(host, names);
  const stopped = new AbortController();
  const running = [...names.map((name) => keepCluster(host, name, stopped.signal)), keepSink(host, stopped.signal)];
  return {
    stop: async () => {
      stopped.abort();
      await Promise.all(running);
    },
  };
}

async function refuseHopeless(host: Host, names: readonly string[]): Promise<void> {
  const problems = await Promise.all(
    names.map((name) => openCluster(host, name).then(() => undefined, asPgproofError)),
  );
  const [first] = problems;
  if (first !== undefined && problems.every(isHopeless)) throw first;
}

const isHopeless = (problem: PgproofError | undefined): boolean =>
  problem?.permanent === true && problem.code !== 'repository-missing';

/** The loops of a cluster, each begun again when it fails. */
async function keepCluster(host: Host, name: string, signal: AbortSignal): Promise<void> {
  const log = host.log.child({ cluster: name });
  const onAlarm = (alarm: PgproofError): void => log.error({ ...alarm.toDocument() }, `WAL alarm: ${alarm.message}`);
  const keep = (what: string, loop: () => Promise<void>): Promise<void> => keepLoop(loop, { what, log, signal });
  const found = () => findCluster(host, name, { signal, patienceMs: loopPatienceMs });
  await Promise.all([
    keep('WAL shipping', async () => runShipper(await found(), { signal, onAlarm })),
    keep('the heartbeat', async () => runHeartbeat(await localCluster(host, name), { signal })),
    keep('the watch', () => keepWatch(host, name, signal)),
  ]);
}

type LoopOptions = { what: string; log: Host['log']; signal: AbortSignal };

/** No longer than a heartbeat: whoever installs its table drills soon after, and RPO needs a beat by then. */
const longestWaitMs = 10_000;

/** What goes on for long is an alarm once, and again daily: whoever is called for each error must not be called six times a minute. */
const repeatMs = 24 * 3_600_000;

async function keepLoop(loop: () => Promise<void>, { what, log, signal }: LoopOptions): Promise<void> {
  let waitMs = 1000;
  let last = { code: '', saidAt: 0 };
  while (!signal.aborted) {
    const began = Date.now();
    try {
      await loop();
    } catch (thrown) {
      if (signal.aborted) return;
      const error = asPgproofError(thrown);
      const isNew = error.code !== last.code || began - last.saidAt > repeatMs;
      if (isNew) last = { code: error.code, saidAt: began };
      // The worker that is to be replaced may take hours for its last steps, and works as it should.
      if (error.code !== 'spool-busy')
        log[isNew ? 'error' : 'warn'](
          { ...error.toDocument(), retryInMs: waitMs },
          `${what} stopped: ${error.message}; it begins again`,
        );
      else if (isNew) log.info({ code: error.code }, `${what} waits until the other worker ends: ${error.message}`);
    }
    if (signal.aborted) return;
    if (Date.now() - began > 60_000) {
      waitMs = 1000;
      last = { code: '', saidAt: 0 };
    }
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    waitMs = Math.min(waitMs * 2, longestWaitMs);
  }
}
