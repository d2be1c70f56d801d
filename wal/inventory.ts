import { compareLsn, type Lsn, lsnPosition } from '../core/lsn.ts';
import {
  type SegmentName,
  segmentEnd,
  segmentNameAt,
  segmentNumber,
  type TimelineId,
  timelineOf,
} from '../core/segment.ts';
import { segmentsOnPath, type TimelinePath, timelineAt } from '../core/timeline.ts';
import type { WalListing } from '../repository/wal.ts';

export type ArchivedSegment = { name: SegmentName; tag: string };

/** What one recovery may be served: frozen when it is planned, so that what arrives later changes nothing. */
export type Inventory = {
  era: string;
  segmentBytes: number;
  /** In the order of replay, one for each segment number, without gaps. */
  segments: ArchivedSegment[];
  /** All of the era's, so that no timeline number is used twice. */
  histories: { timeline: TimelineId; tag: string }[];
};

/** WAL without a gap, from a position on. */
export type Coverage = {
  segments: ArchivedSegment[];
  /** The first position that is not covered. */
  endLsn: Lsn;
  /** Why it ends: there is no more; a segment is missing though later ones are there; a segment exists twice. */
  stop: { reason: 'end' | 'gap' | 'conflict'; segment: SegmentName };
};

/**
 * The WAL on `path` from the segment that holds `start`, as far as it reaches without a gap or a conflict. Of a segment that
 * several timelines have, the newest one's counts, as it does for recovery.
 */
export function coverageOf(path: TimelinePath, listing: WalListing, start: Lsn, segmentBytes: number): Coverage {
  const last = newestPosition(path, listing, segmentBytes);
  const segments: ArchivedSegment[] = [];
  let endLsn = start;
  for (const names of segmentsOnPath(path, start, last, segmentBytes)) {
    const newest = names[0] as SegmentName;
    const tags = listing.get(newest) ?? [];
    if (tags.length > 1) return { segments, endLsn, stop: { reason: 'conflict', segment: newest } };
    if (tags.length === 1) {
      segments.push({ name: newest, tag: tags[0] as string });
      endLsn = segmentEnd(newest, segmentBytes);
      continue;
    }
    const older = olderHolder(names, listing);
    if (older !== undefined) {
      // The older timeline's WAL counts up to the switch; behind it only the missing segment could go on.
      segments.push(older);
      endLsn = switchOf(path, timelineOf(older.name)) ?? endLsn;
    }
    return { segments, endLsn, stop: { reason: 'gap', segment: newest } };
  }
  return {
    segments,
    endLsn,
    stop: { reason: 'end', segment: segmentNameAt(endLsn, timelineAt(path, endLsn), segmentBytes) },
  };
}

/** What recovery from `start` to `stop` needs of the coverage, and `slackBytes` more: the last record may be a long one. */
export function segmentsUpTo(
  coverage: Coverage,
  stop: Lsn,
  segmentBytes: number,
  slackBytes = 64 * 1024 * 1024,
): ArchivedSegment[] {
  const last = (lsnPosition(stop) + BigInt(slackBytes)) / BigInt(segmentBytes);
  return coverage.segments.filter(({ name }) => segmentNumber(name, segmentBytes) <= last);
}

/** Behind the last segment that any timeline of the path has in the archive. */
function newestPosition(path: TimelinePath, listing: WalListing, segmentBytes: number): Lsn {
  let newest = '0/0' as Lsn;
  const timelines = new Map(path.map((stretch) => [stretch.timeline, stretch.endLsn]));
  for (const name of listing.keys()) {
    const timeline = timelineOf(name);
    if (!timelines.has(timeline)) continue;
    const end = segmentEnd(name, segmentBytes);
    const limit = timelines.get(timeline) ?? null;
    const counted = limit !== null && compareLsn(limit, end) < 0 ? limit : end;
    if (compareLsn(counted, newest) > 0) newest = counted;
  }
  return newest;
}

function olderHolder(names: readonly SegmentName[], listing: WalListing): ArchivedSegment | undefined {
  for (const name of names.slice(1)) {
    const tags = listing.get(name) ?? [];
    if (tags.length === 1) return { name, tag: tags[0] as string };
  }
  return undefined;
}

function switchOf(path: TimelinePath, timeline: TimelineId): Lsn | null {
  return path.find((stretch) => stretch.timeline === timeline)?.endLsn ?? null;
}
