import { setTimeout as sleep } from 'node:timers/promises';
import { abortReason } from '../core/abort.ts';
import { hasCode } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { awaitArchived, type WalRange } from './await.ts';
import { shipOnce } from './shipper.ts';

/**
 * Waits as `awaitArchived` does; where no worker ships the spool (--offline), the one who waits does.
 * @throws {PgproofError} as `awaitArchived`; `spool-invalid`.
 */
export async function awaitShipped(
  cluster: ProtectedCluster,
  range: WalRange,
  run: Run,
  deadline: Date,
): Promise<void> {
  await shippingMeanwhile(cluster, run, (waiting) => awaitArchived(cluster, range, waiting, deadline));
}

/**
 * Waits for something in the archive, and ships the spool meanwhile where no worker does.
 * @param upkeep done before each look at the spool, for as long as somebody waits; what it throws ends the waiting.
 */
export async function shippingMeanwhile<T>(
  cluster: ProtectedCluster,
  run: Run,
  wait: (run: Run) => Promise<T>,
  upkeep: () => Promise<void> = async () => {},
): Promise<T> {
  const done = new AbortController();
  const watched = { ...run, signal: AbortSignal.any([run.signal, done.signal]) };
  const shipping = keepShipping(cluster, watched, upkeep);
  try {
    return await Promise.race([wait(watched), shipping]);
  } finally {
    done.abort();
    await shipping.catch(() => {}); // it ends only by failing, and the race has told of it
  }
}

async function keepShipping(cluster: ProtectedCluster, run: Run, upkeep: () => Promise<void>): Promise<never> {
  for (let pauseMs = 500; ; pauseMs = Math.min(pauseMs * 2, 10_000)) {
    await upkeep();
    await shipUnlessBusy(cluster, run);
    await sleep(pauseMs, undefined, { signal: run.signal }).catch(() => {
      throw abortReason(run.signal);
    });
  }
}

/** What goes wrong with a segment shows in what is missing, and `awaitArchived` tells that. */
async function shipUnlessBusy(cluster: ProtectedCluster, run: Run): Promise<void> {
  try {
    const { error, missed } = await shipOnce(cluster, { signal: run.signal });
    if (error !== null) run.progress({ phase: 'wait for WAL', note: `shipping: ${error.message}` });
    if (missed.length > 0)
      run.progress({ phase: 'wait for WAL', note: `${missed.join(', ')} did not reach every repository` });
  } catch (error) {
    if (!hasCode(error, 'spool-busy')) throw error; // busy: the worker ships
  }
}
