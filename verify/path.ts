import { compareLsn, formatLsn, type Lsn } from '../core/lsn.ts';
import {
  type SegmentName,
  segmentName,
  segmentNumber,
  segmentNumberAt,
  type TimelineId,
  timelineOf,
} from '../core/segment.ts';
import { type HistoryEntry, pathTo, type TimelinePath } from '../core/timeline.ts';

/** Why a segment cannot be replayed. `expired`: it was deleted because nothing needs it, which is no damage. */
export type SegmentFault = 'missing' | 'expired' | 'conflict' | 'damaged';

/** A stretch of WAL on a path that cannot be replayed: from `start`, inclusive, to `end`. Its segments follow each other. */
export type Gap = { start: Lsn; end: Lsn; segments: { name: SegmentName; fault: SegmentFault }[] };

/**
 * The paths that restores may follow: one to each timeline from which no other one begins, the newest first. Of a timeline
 * whose history file is not there, only what is its own.
 */
export function leafPaths(
  histories: ReadonlyMap<TimelineId, readonly HistoryEntry[]>,
  others: Iterable<TimelineId>,
): TimelinePath[] {
  const known = new Set([...histories.keys(), ...others]);
  const inner = new Set([...histories.values()].flatMap((entries) => entries.map(({ timeline }) => timeline)));
  const leaves = [...known].filter((timeline) => !inner.has(timeline)).sort((a, b) => b - a);
  return leaves.map((timeline) =>
    histories.has(timeline) ? pathTo(timeline, histories) : [{ timeline, beginLsn: formatLsn(0n), endLsn: null }],
  );
}

/**
 * Where WAL on the path cannot be replayed, from the segment that holds `from` up to the newest that the archive has. Of a segment
 * that several timelines have, the newest one's counts, as it does for recovery; where only that one is bad, the older one's
 * is good up to the switch.
 */
export function gapsOn(
  path: TimelinePath,
  names: Iterable<SegmentName>,
  faultOf: (name: SegmentName) => SegmentFault | null,
  from: Lsn,
  segmentBytes: number,
): Gap[] {
  const last = lastNumber(path, names, segmentBytes);
  const gaps: Gap[] = [];
  let open: { gap: Gap; next: bigint } | null = null;
  for (let number = segmentNumberAt(from, segmentBytes); number <= last; number += 1n) {
    const holders = holdersOf(path, number, segmentBytes);
    const newest = holders[0];
    if (newest === undefined) continue;
    const fault = faultOf(newest.name);
    if (fault === null) continue;
    const older = holders.slice(1).find(({ name }) => faultOf(name) === null);
    // The server has just begun a timeline, and not finished its first segment: that is no gap yet.
    if (fault === 'missing' && older !== undefined && number === last) continue;
    const end = formatLsn((number + 1n) * BigInt(segmentBytes));
    const start = older?.endLsn ?? formatLsn(number * BigInt(segmentBytes));
    if (open !== null && open.next === number && older === undefined) open.gap.end = end;
    else {
      open = { gap: { start, end, segments: [] }, next: number };
      gaps.push(open.gap);
    }
    open.gap.segments.push({ name: newest.name, fault });
    open.next = number + 1n;
  }
  return gaps;
}

/** The timelines of the path that have the segment, newest first. */
function holdersOf(
  path: TimelinePath,
  number: bigint,
  segmentBytes: number,
): { name: SegmentName; endLsn: Lsn | null }[] {
  const start = formatLsn(number * BigInt(segmentBytes));
  return path
    .filter(({ beginLsn, endLsn }) => {
      const begins = segmentNumberAt(beginLsn, segmentBytes) <= number;
      return begins && (endLsn === null || compareLsn(endLsn, start) > 0);
    })
    .map(({ timeline, endLsn }) => ({ name: segmentName(timeline, number, segmentBytes), endLsn }))
    .reverse();
}

/** Of the newest segment that any timeline of the path has, not counting what came behind a switch; -1 where there is none. */
function lastNumber(path: TimelinePath, names: Iterable<SegmentName>, segmentBytes: number): bigint {
  const ends = new Map(path.map(({ timeline, endLsn }) => [timeline, endLsn]));
  let last = -1n;
  for (const name of names) {
    const end = ends.get(timelineOf(name));
    if (end === undefined) continue;
    const number = segmentNumber(name, segmentBytes);
    const isBehind = end !== null && compareLsn(formatLsn(number * BigInt(segmentBytes)), end) >= 0;
    if (!isBehind && number > last) last = number;
  }
  return last;
}
