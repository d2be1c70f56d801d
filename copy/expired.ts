import { throwIfAborted } from '../core/abort.ts';
import { asPgproofError } from '../core/errors.ts';
import { expiredBeforeCopied } from '../core/expired-before-copied.ts';
import { compareLsn } from '../core/lsn.ts';
import { type SegmentName, segmentEnd, segmentStart } from '../core/segment.ts';
import { segmentsOnPath } from '../core/timeline.ts';
import { isCut, listCuts } from '../repository/cuts.ts';
import type { CutRecord, EraRecord } from '../repository/record.ts';
import { listWal, type WalListing } from '../repository/wal.ts';
import { currentPath, readLineage } from '../wal/lineage.ts';
import type { Copying } from './copying.ts';

/** Notes the WAL between what the target has that expired in the source before any copy took it: no copy will bring it. */
export async function noteExpired(copying: Copying, eras: readonly EraRecord[]): Promise<void> {
  const { from, to, cluster, tally, run } = copying;
  for (const era of eras) {
    const cuts = await listCuts(from, cluster, era.era, { signal: run.signal });
    if (cuts.length === 0) continue;
    try {
      const gone = await neverCopied(copying, era, cuts);
      tally.notes.push(...expiredBeforeCopied(gone, era.segmentBytes, { from: from.name, to: to.name }));
    } catch (error) {
      throwIfAborted(run.signal);
      const why = asPgproofError(error).message;
      tally.notes.push(`Whether WAL of ${era.era} expired in ${from.name} before it was copied is not known: ${why}.`);
    }
  }
}

async function neverCopied(
  { from, to, cluster, walKeys, run }: Copying,
  era: EraRecord,
  cuts: readonly CutRecord[],
): Promise<SegmentName[]> {
  const options = { signal: run.signal };
  const path = currentPath(await readLineage({ repository: from, walKeys, name: cluster }, era, options));
  const theirs: WalListing = new Map();
  for (const { timeline } of path)
    for (const [segment, tags] of await listWal(to, cluster, era.era, { timeline, ...options }))
      theirs.set(segment, tags);
  const ascending = [...theirs.keys()].sort((a, b) =>
    compareLsn(segmentStart(a, era.segmentBytes), segmentStart(b, era.segmentBytes)),
  );
  const [first, last] = [ascending[0], ascending.at(-1)];
  if (first === undefined || last === undefined) return [];
  const expiredThere = await listCuts(to, cluster, era.era, options);
  const isIn = (segment: SegmentName, where: readonly CutRecord[]) => isCut(segment, where, era.segmentBytes);
  const [start, end] = [segmentStart(first, era.segmentBytes), segmentEnd(last, era.segmentBytes)];
  return segmentsOnPath(path, start, end, era.segmentBytes)
    .filter((names) => !names.some((name) => theirs.has(name)))
    .filter((names) => names.some((name) => isIn(name, cuts)) && !names.some((name) => isIn(name, expiredThere)))
    .map(([newest]) => newest as SegmentName);
}
