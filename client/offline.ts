import { setTimeout as sleep } from 'node:timers/promises';
import { abortReason } from '../core/abort.ts';
import { asPgproofError, hasCode } from '../core/errors.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { drainOutbox } from '../sink/drain.ts';
import type { Session } from './session.ts';

/** As long as the workflow waits (core/timeouts.ts). */
const busyDeadlineMs = 12 * 3600 * 1000;
const busyRetryMs = 5000;
/** A report sink that is away shall not hold up the answer. */
const sinkPatienceMs = 5000;

/** Does an operation in this process; the engines ship what they wait for where no worker does. */
export async function doOffline<Result>(
  session: Session,
  name: string,
  work: (cluster: ProtectedCluster) => Promise<Result>,
): Promise<Result> {
  const cluster = await session.cluster(name);
  try {
    return await untilFree(session, () => work(cluster));
  } finally {
    await sendWaiting(session, cluster);
  }
}

/** Where no worker does it, nobody else would; the next one goes on with what is left. */
async function sendWaiting({ signal, say }: Session, { sink }: ProtectedCluster): Promise<void> {
  if (!sink || signal.aborted) return;
  const soon = AbortSignal.any([signal, AbortSignal.timeout(sinkPatienceMs)]);
  try {
    const { refused } = await drainOutbox(sink, { signal: soon });
    for (const { message } of refused) say(`  the report sink refuses a report, which waits: ${message}`);
  } catch (error) {
    say(`  the report waits for the report sink: ${asPgproofError(error).message}`);
  }
}

/** A busy cluster is waited for, and its holder is named, unless --no-wait. */
async function untilFree<Result>(session: Session, work: () => Promise<Result>): Promise<Result> {
  const deadline = Date.now() + busyDeadlineMs;
  let told = '';
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!hasCode(error, 'cluster-busy') || session.options.wait === false || Date.now() > deadline) throw error;
      if (error.message !== told) session.say(`  waiting: ${error.message}`);
      told = error.message;
    }
    await sleep(busyRetryMs, undefined, { signal: session.signal }).catch(() => {
      throw abortReason(session.signal);
    });
  }
}
