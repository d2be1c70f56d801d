import { liesIn, type WalRange } from '../core/hold.ts';
import { type SegmentName, segmentEnd, segmentStart, timelineOf } from '../core/segment.ts';
import type { StoreOptions } from '../storage/store.ts';
import { nullIfMissing, readDocument } from './document.ts';
import { cutPrefix } from './layout.ts';
import { type CutRecord, cutRecord } from './record.ts';
import type { Repository } from './repository.ts';

/**
 * Which WAL of an era was taken away, or is about to be; usually one document.
 * @throws {PgproofError} what the store says; `record-invalid` for one that cannot be read.
 */
export async function listCuts(
  { store }: Repository,
  cluster: string,
  era: string,
  options: StoreOptions = {},
): Promise<CutRecord[]> {
  const cuts: CutRecord[] = [];
  for await (const { key } of store.list(cutPrefix(cluster, era), options)) {
    // Withdrawn in this moment, or included in another, which was there before.
    const cut = await readDocument(store, key, cutRecord, options).catch(nullIfMissing);
    if (cut !== null) cuts.push(cut);
  }
  return cuts;
}

/** Whether all of the segment was taken away, or is about to be: it may still be listed. */
export function isCut(segment: SegmentName, cuts: readonly Pick<CutRecord, 'ranges'>[], segmentBytes: number): boolean {
  return cuts.some(({ ranges }) => liesIn(rangeOf(segment, segmentBytes), ranges));
}

export function rangeOf(segment: SegmentName, segmentBytes: number): WalRange {
  return {
    timeline: timelineOf(segment),
    from: segmentStart(segment, segmentBytes),
    to: segmentEnd(segment, segmentBytes),
  };
}
