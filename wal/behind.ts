import { compareLsn, type Lsn, lsnPosition } from '../core/lsn.ts';
import { segmentName, segmentNumberAt, segmentStart, type TimelineId } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { ServerFacts } from '../postgres/server.ts';
import type { Frontier } from './frontier.ts';
import { newestArchivedHeartbeat } from './heartbeat.ts';

/** Where the server's WAL ended, at a time of its clock. */
export type Written = { timeline: TimelineId; lsn: Lsn; at: string };

/** Source: PostgreSQL src/include/access/xlog_internal.h, SizeOfXLogLongPHD: what a segment that nothing was written to begins with. */
const segmentHeaderBytes = 40n;

/** Where the last record ends, and where the last finished segment does. */
export function writtenBy({
  timeline,
  insertLsn,
  clock,
  segmentBytes,
}: ServerFacts): Record<'all' | 'finished', Written> {
  const start = segmentStart(
    segmentName(timeline, segmentNumberAt(insertLsn, segmentBytes), segmentBytes),
    segmentBytes,
  );
  const isEmpty = lsnPosition(insertLsn) - lsnPosition(start) <= segmentHeaderBytes;
  const at = (lsn: Lsn): Written => ({ timeline, lsn, at: clock });
  return { all: at(isEmpty ? start : insertLsn), finished: at(start) };
}

/** Whether the archive reaches to this position, on the timeline that it was written on. */
export function hasReached({ lsn, path }: Frontier, written: Pick<Written, 'timeline' | 'lsn'>): boolean {
  return path.some(({ timeline }) => timeline === written.timeline) && compareLsn(lsn, written.lsn) >= 0;
}

/**
 * How much work would be lost with the host, in seconds; null where no heartbeat tells.
 * @param now of the server's clock, ISO-8601; `written` was all there was, at its own time.
 */
export async function secondsBehind(
  cluster: Pick<ProtectedCluster, 'paths'>,
  frontier: Frontier,
  written: Written,
  now: string,
): Promise<number | null> {
  const safe = hasReached(frontier, written) ? written : await newestArchivedHeartbeat(cluster, frontier);
  return safe === null ? null : Math.max(0, (Date.parse(now) - Date.parse(safe.at)) / 1000);
}
