import { compareLsn, type Lsn } from './lsn.ts';
import type { TimelineId } from './segment.ts';

/** WAL of one timeline: [from, to). */
export type WalRange = { timeline: TimelineId; from: Lsn /** Null: all that follows. */; to: Lsn | null };

/** What is needed of one era. A backup needs its parents, too; nobody has to name them. */
export type EraNeeds = { era: string; backups: readonly string[]; wal: readonly WalRange[] };

export const holdOperations = ['plan', 'restore', 'drill', 'copy', 'verify', 'hand'] as const;

/** What somebody needs kept in a repository, and until when. */
export type Hold = {
  id: string;
  cluster: string;
  operation: (typeof holdOperations)[number];
  /** The host that placed it. */
  by: string;
  reason: string | null;
  heldAt: string;
  until: string;
  /** Null: everything of the cluster, its dumps too. */
  needs: readonly EraNeeds[] | null;
  /** Ids of dumps, which belong to no era. Absent: none. */
  dumps?: readonly string[] | undefined;
};

/** Clocks of two hosts may differ by so much. */
const clockGraceMs = 3_600_000;

/** Whether it still counts. Whoever placed it does not rely on it behind `until`; whoever deletes waits a little longer. */
export function isInForce({ until }: Pick<Hold, 'until'>, now: Date): boolean {
  return now.getTime() <= Date.parse(until) + clockGraceMs;
}

/** A server's clock and that of the host that holds may differ by so much. */
const slowGraceMs = 600_000;

/**
 * What is wrong with the clock of a host that is to hold; null: nothing. Whoever deletes reckons from the newest backup on, so that the
 * holds of a host whose clock is behind it end too early, or at once.
 * @param newest the last one in the WAL: a stamp of before that is later is a wrong one.
 */
export function slowClock(newest: { stoppedAt: string } | undefined, now: Date): string | null {
  if (newest === undefined) return null;
  const behindMs = Date.parse(newest.stoppedAt) - now.getTime();
  if (behindMs <= slowGraceMs) return null;
  return `the clock of this host (${now.toISOString()}) is ${Math.round(behindMs / 1000)} s behind the newest backup (${newest.stoppedAt})`;
}

/** Whether it needs this very backup; not whether it needs a child of it. */
export function holdsBackup({ needs }: Pick<Hold, 'needs'>, era: string, id: string): boolean {
  return needs === null || needs.some((each) => each.era === era && each.backups.includes(id));
}

export function holdsDump({ needs, dumps }: Pick<Hold, 'needs' | 'dumps'>, id: string): boolean {
  return needs === null || dumps?.includes(id) === true;
}

/** Whether it needs WAL of these ranges. */
export function holdsWal({ needs }: Pick<Hold, 'needs'>, era: string, ranges: readonly WalRange[]): boolean {
  return (
    needs === null || needs.some((each) => each.era === era && each.wal.some((range) => crossesAny(range, ranges)))
  );
}

export function crossesAny(range: WalRange, others: readonly WalRange[]): boolean {
  return others.some((other) => crosses(range, other));
}

/** Whether two ranges have a byte in common. */
function crosses(a: WalRange, b: WalRange): boolean {
  return a.timeline === b.timeline && beginsBefore(a.from, b.to) && beginsBefore(b.from, a.to);
}

/** Whether every byte of the range lies in one of the others. */
export function liesIn(range: WalRange, others: readonly WalRange[]): boolean {
  return others.some(
    ({ timeline, from, to }) =>
      timeline === range.timeline &&
      compareLsn(from, range.from) <= 0 &&
      (to === null || (range.to !== null && compareLsn(range.to, to) <= 0)),
  );
}

const beginsBefore = (from: Lsn, to: Lsn | null): boolean => to === null || compareLsn(from, to) < 0;
