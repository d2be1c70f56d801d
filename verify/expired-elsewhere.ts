import { abortReason } from '../core/abort.ts';
import { asPgproofError } from '../core/errors.ts';
import { expiredBeforeCopied } from '../core/expired-before-copied.ts';
import { crossesAny } from '../core/hold.ts';
import { type SegmentName, timelineOf } from '../core/segment.ts';
import { isRequired } from '../core/written.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { isCut, listCuts, rangeOf } from '../repository/cuts.ts';
import { neededWal } from '../repository/record.ts';
import { listWal } from '../repository/wal.ts';
import type { ExpiredElsewhere, KnownEra } from './known.ts';

/**
 * Which of the missing segments expired in another repository that is at hand, while none of these has a copy. What was here once
 * is missing all the same: what a backup here needs to become consistent, and all WAL of a repository that the spool waits for.
 */
export async function findExpiredElsewhere(
  { name, config, repository, repositories }: ProtectedCluster,
  era: KnownEra,
  missing: readonly SegmentName[],
  segmentBytes: number,
  signal: AbortSignal,
): Promise<ExpiredElsewhere> {
  if (isRequired(config, repository.name)) return new Map();
  const needed = era.records.map(neededWal);
  const unneeded = missing.filter((segment) => !crossesAny(rangeOf(segment, segmentBytes), needed));
  const timelines = new Set(unneeded.map(timelineOf));
  const expired: ExpiredElsewhere = new Map();
  const copied = new Set<SegmentName>();
  for (const other of repositories.filter(({ id }) => id !== repository.id)) {
    try {
      const cuts = await listCuts(other, name, era.name, { signal });
      for (const segment of unneeded) if (isCut(segment, cuts, segmentBytes)) expired.set(segment, other.name);
      for (const timeline of timelines)
        for (const segment of (await listWal(other, name, era.name, { timeline, signal })).keys()) copied.add(segment);
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      // Not at hand: without its word more is missing, never less.
      if (asPgproofError(error).code === 'internal') throw error;
    }
  }
  for (const segment of copied) expired.delete(segment);
  return expired;
}

export function expiredNotes({ expiredElsewhere }: KnownEra, segmentBytes: number, to: string): string[] {
  const names = [...new Set(expiredElsewhere.values())];
  return names.flatMap((from) => {
    const segments = [...expiredElsewhere].filter(([, repository]) => repository === from).map(([segment]) => segment);
    return expiredBeforeCopied(segments.sort(), segmentBytes, { from, to });
  });
}
