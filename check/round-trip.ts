import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../core/errors.ts';
import { type SegmentName, timelineOf } from '../core/segment.ts';
import { inRepository, type ProtectedCluster } from '../postgres/cluster.ts';
import { awaitArchived, type WalRange } from '../wal/await.ts';
import { shipOnce } from '../wal/shipper.ts';
import { createRestorePoint, switchWal } from '../wal/switch.ts';
import { type Finding, ok } from './finding.ts';

/** How long a segment may take from PostgreSQL into the repository. */
const patienceSeconds = 60;

/**
 * Sends a real segment the whole way: PostgreSQL, archive_command, spool, shipper, repository. Where no worker ships this
 * cluster's WAL, this process does meanwhile.
 * @throws {PgproofError} `segment-not-archived` with what the shipper last said; the reason of a refused segment; `rights-missing`.
 */
export async function checkRoundTrip(cluster: ProtectedCluster, name: string, signal: AbortSignal): Promise<Finding> {
  // Without it an idle server would end no segment.
  const point = await createRestorePoint(cluster, 'pgproof check', { signal });
  const { segment, lsn } = await switchWal(cluster, { signal });
  const range = { timeline: timelineOf(segment), start: point.lsn, end: lsn };
  const over = new AbortController();
  const both = AbortSignal.any([signal, over.signal]);
  const stop = () => over.abort();
  await Promise.all([
    awaitEverywhere(cluster, range, both).finally(stop),
    shipMeanwhile(cluster, segment, both).finally(stop),
  ]);
  const { written } = cluster;
  const where = written.length === 1 ? 'the repository' : written.map((repository) => repository.name).join(', ');
  return ok(name, `segment ${segment} went from PostgreSQL into ${where}`);
}

async function awaitEverywhere(cluster: ProtectedCluster, range: WalRange, signal: AbortSignal): Promise<void> {
  const deadline = new Date(Date.now() + patienceSeconds * 1000);
  const run = { signal, progress: () => {} };
  await Promise.all(
    cluster.written.map((repository) => awaitArchived(inRepository(cluster, repository), range, run, deadline)),
  );
}

/** Passes over the spool until the signal, unless a worker of this cluster has it. Fails at once when our segment is refused. */
async function shipMeanwhile(cluster: ProtectedCluster, segment: SegmentName, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const { refused } = await shipOnce(cluster, { signal });
      const ours = refused.find(({ file }) => file === segment);
      if (ours !== undefined) throw ours.error;
      await sleep(200, undefined, { signal });
    } catch (error) {
      if (signal.aborted) return;
      if (!hasCode(error, 'spool-busy')) throw error;
      await untilAborted(signal);
    }
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
