import { throwIfAborted } from '../core/abort.ts';
import type { Run } from '../core/run.ts';
import { graceSeconds } from '../parts/copies.ts';
import { inRepository, type ProtectedCluster } from '../postgres/cluster.ts';
import type { Repository } from '../repository/repository.ts';
import { awaitArchived } from '../wal/await.ts';
import { shippingMeanwhile } from '../wal/await-shipping.ts';
import { findCommitted, holdersOf } from './commit.ts';
import { refuseLostWal } from './lost-wal.ts';
import { findPending, neededWal, type PendingBackup, touchPending } from './pending.ts';

/** PostgreSQL has handed the WAL over when the copy ends; what remains is the shipper's backlog, or the store's outage. */
const patienceSeconds = 3600;
const lostAfterSeconds = 15;

/**
 * Waits until all the WAL that the copied backup needs is in each repository that holds the copy and is required, and for the
 * others a little longer. Where no worker ships, the waiting one does. Also answers when the backup is committed already.
 * @param options.lostAfterSeconds how long it waits before it asks, and then asks again, whether that WAL can come at all.
 * @throws {PgproofError} `backup-missing` when there is neither; `wal-lost`, `era-mismatch` when it will never come; `segment-not-archived`,
 * `wal-conflict`; the signal's reason.
 */
export async function awaitWal(
  cluster: ProtectedCluster,
  id: string,
  run: Run,
  options: { patienceSeconds?: number; lostAfterSeconds?: number } = {},
): Promise<void> {
  const pending = await findPending(cluster, id);
  if (pending === undefined) return void (await findCommitted(cluster, id));
  const deadline = new Date(Date.now() + (options.patienceSeconds ?? patienceSeconds) * 1000);
  const wait = (waiting: Run) => awaitEverywhere(cluster, pending, waiting, deadline);
  const everyMs = (options.lostAfterSeconds ?? lostAfterSeconds) * 1000;
  let askAt = Date.now() + everyMs;
  await shippingMeanwhile(cluster, run, wait, async () => {
    await touchPending(cluster, id); // while somebody waits, the pending backup counts as wanted
    if (Date.now() < askAt) return;
    await refuseLostWal(cluster, pending, run.signal);
    askAt = Date.now() + everyMs;
  });
}

async function awaitEverywhere(
  cluster: ProtectedCluster,
  pending: PendingBackup,
  run: Run,
  deadline: Date,
): Promise<void> {
  const copies = holdersOf(cluster, pending);
  const awaitIn = (repository: Repository, until: Date, signal = run.signal): Promise<void> =>
    awaitArchived(inRepository(cluster, repository), neededWal(pending), { ...run, signal }, until);
  const required = copies.live.filter((repository) => copies.isRequired(repository));
  await Promise.all(required.map((repository) => awaitIn(repository, deadline)));
  // The commit leaves out what is not there then. Aborted, too: a store that hangs does not look at the clock.
  const grace = new Date(Math.min(deadline.getTime(), Date.now() + graceSeconds * 1000));
  const patience = AbortSignal.any([run.signal, AbortSignal.timeout(graceSeconds * 1000)]);
  const others = copies.live.filter((repository) => !copies.isRequired(repository));
  await Promise.allSettled(others.map((repository) => awaitIn(repository, grace, patience)));
  throwIfAborted(run.signal);
}
