import { type SegmentName, segmentNumber, timelineOf } from '../segment.ts';
import type { SegmentRun } from './facts.ts';

/** What an archive holds, by stretches: a year of WAL is a million names, and a few of these. */
export function runsOf(names: Iterable<SegmentName>, segmentBytes: number): SegmentRun[] {
  const runs: SegmentRun[] = [];
  for (const name of [...names].sort()) {
    const number = segmentNumber(name, segmentBytes);
    const timeline = timelineOf(name);
    const last = runs.at(-1);
    if (last?.timeline === timeline && last.to + 1n === number) last.to = number;
    else runs.push({ timeline, from: number, to: number });
  }
  return runs;
}
