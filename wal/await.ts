import { setTimeout as sleep } from 'node:timers/promises';
import { abortReason } from '../core/abort.ts';
import { hasCode, PgproofError } from '../core/errors.ts';
import type { Lsn } from '../core/lsn.ts';
import type { Run } from '../core/run.ts';
import { type SegmentName, segmentsBetween, type TimelineId } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { currentEra } from '../repository/eras.ts';
import { tagsAround } from './archived.ts';
import { eraUndeclared } from './lineage.ts';
import { readShipperNotes } from './shipper-notes.ts';

/** WAL of one timeline: the bytes [start, end). */
export type WalRange = { timeline: TimelineId; start: Lsn; end: Lsn };

/**
 * Waits until every segment that holds a byte of the range is in `cluster.repository`. It asks the repository itself, never the
 * shipper (invariant 1); an outage of the store is waited out until the deadline.
 * @throws {PgproofError} `segment-not-archived` at the deadline, naming the first missing segment and what the shipper last
 * said; `wal-conflict` at once when a segment is there with two contents; the signal's reason.
 */
export async function awaitArchived(
  cluster: ProtectedCluster,
  range: WalRange,
  run: Run,
  deadline: Date,
): Promise<void> {
  for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, 2000)) {
    try {
      const missing = await missingSegments(cluster, range, { signal: run.signal });
      const [first] = missing;
      if (first === undefined) return;
      run.progress({ phase: 'wait for WAL', note: `${missing.length} segments, the first is ${first}` });
      if (Date.now() >= deadline.getTime()) throw await notArchived(cluster, missing);
    } catch (error) {
      if (run.signal.aborted) throw abortReason(run.signal);
      if (!hasCode(error, 'store-unreachable') || Date.now() >= deadline.getTime()) throw error;
      run.progress({ phase: 'wait for WAL', note: error.message });
    }
    await sleep(pauseMs, undefined, { signal: run.signal }).catch(() => {
      throw abortReason(run.signal);
    });
  }
}

/**
 * The segments of the range that the repository does not have, ascending.
 * @throws {PgproofError} `era-undeclared`; `wal-conflict` for a segment with two contents; `store-unreachable`.
 */
export async function missingSegments(
  cluster: ProtectedCluster,
  { timeline, start, end }: WalRange,
  options: { signal?: AbortSignal } = {},
): Promise<SegmentName[]> {
  const era = await currentEra(cluster.repository, cluster.name, options);
  if (era === undefined) throw eraUndeclared(cluster.name);
  const missing: SegmentName[] = [];
  let log = '';
  let tags: Awaited<ReturnType<typeof tagsAround>> = new Map();
  for (const segment of segmentsBetween(start, end, timeline, era.segmentBytes)) {
    if (segment.slice(0, 16) !== log) {
      log = segment.slice(0, 16);
      tags = await tagsAround(cluster, era.era, segment, options);
    }
    const found = tags.get(segment) ?? [];
    if (found.length > 1) throw conflictOf(segment, found);
    if (found.length === 0) missing.push(segment);
  }
  return missing;
}

export function conflictOf(segment: string, tags: readonly string[]): PgproofError {
  return new PgproofError(
    'wal-conflict',
    `segment ${segment} is in the archive with ${tags.length} different contents`,
    {
      facts: { segment, tags },
      hint: 'Two servers archive as this cluster, or one went back in time. Look with `pgproof wal quarantine list`, keep one with `… discard`.',
    },
  );
}

async function notArchived(
  { name, paths, repository }: ProtectedCluster,
  missing: readonly SegmentName[],
): Promise<PgproofError> {
  const [first] = missing as [SegmentName];
  const notes = await readShipperNotes(paths.state, repository.name);
  const said = notes?.lastError ?? null;
  return new PgproofError(
    'segment-not-archived',
    `segment ${first} did not reach the repository in time${said === null ? '' : `; the shipper last said: ${said.message}`}`,
    {
      facts: {
        cluster: name,
        repository: repository.name,
        segment: first,
        missing: missing.length,
        shipperError: said?.code ?? null,
      },
      hint: `Is a worker running, and does archive_command succeed? \`pgproof wal status ${name}\` and \`pgproof check ${name}\` say.`,
    },
  );
}
