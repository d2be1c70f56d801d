import { type SegmentName, segmentNumber, timelineOf } from './segment.ts';

/**
 * Says which WAL a repository will never get, because it expired where it was to come from: a sentence for each stretch.
 * @param segments ascending.
 */
export function expiredBeforeCopied(
  segments: readonly SegmentName[],
  segmentBytes: number,
  { from, to }: { from: string; to: string },
): string[] {
  return stretches(segments, segmentBytes).map((stretch) => {
    const [first, last] = [stretch[0], stretch.at(-1)];
    const what = stretch.length === 1 ? `WAL segment ${first}` : `WAL ${first} to ${last} (${stretch.length} segments)`;
    return `${what} expired in ${from}, and ${to} has no copy of it: points in that stretch cannot be restored from ${to}.`;
  });
}

/** Segments of one timeline that follow each other. */
function stretches(segments: readonly SegmentName[], segmentBytes: number): SegmentName[][] {
  const found: SegmentName[][] = [];
  for (const segment of segments) {
    const open = found.at(-1);
    const last = open?.at(-1);
    const follows =
      last !== undefined &&
      timelineOf(last) === timelineOf(segment) &&
      segmentNumber(last, segmentBytes) + 1n === segmentNumber(segment, segmentBytes);
    if (follows) open?.push(segment);
    else found.push([segment]);
  }
  return found;
}
