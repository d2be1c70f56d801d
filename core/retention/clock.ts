/*
 * Times against order. The order of backups is that of the WAL, which no clock can change; their times are what some clock said. Those
 * that fit the order are believed, as long as they are the most; the others were stamped by a clock that was wrong.
 */

export type Stamped = { id: string; at: number };

/** A server's clock may be that much ahead of the one that plans. */
export const toleranceMs = 3_600_000;

/**
 * The times to reckon with, by id. A stamp that contradicts the order counts as the one that follows it, which is never older
 * than the truth by more than the others allow.
 * @param ordered by the WAL, oldest first.
 */
export function believedTimes(ordered: readonly Stamped[]): Map<string, number> {
  const fitting = longestAscending(ordered);
  const times = new Map<string, number>();
  let following: number | undefined;
  for (const { id, at } of ordered.toReversed()) {
    if (fitting.has(id)) following = at;
    if (following !== undefined) times.set(id, following);
  }
  const newest = Math.max(...ordered.filter(({ id }) => fitting.has(id)).map(({ at }) => at));
  for (const { id } of ordered) if (!times.has(id)) times.set(id, newest);
  return times;
}

/** Why the clock, or the stamps, cannot be right; null where nothing speaks against them. */
export function clockContradiction(times: Iterable<number>, now: number): string | null {
  const newest = Math.max(...times);
  if (!Number.isFinite(newest) || newest <= now + toleranceMs) return null;
  return `the newest backup says ${iso(newest)}, and this host's clock ${iso(now)}`;
}

/**
 * A silence that makes everything before it look old: longer than the window, and than three times the longest of the silences
 * before it. A clock that jumped ahead looks like this, and so do weeks without backups; neither is a reason to delete unasked.
 * @param ordered believed times, oldest first.
 * @returns how many backups lie before it; null where there is none.
 */
export function suddenSilence(
  ordered: readonly number[],
  windowMs: number,
): { before: number; from: number; to: number } | null {
  for (let index = ordered.length - 1; index >= 2; index -= 1) {
    const [from, to] = [ordered[index - 1] as number, ordered[index] as number];
    const earlier = ordered.slice(Math.max(0, index - 6), index);
    const usual = Math.max(...earlier.slice(1).map((at, place) => at - (earlier[place] as number)));
    if (to - from > windowMs && to - from > 3 * usual) return { before: index, from, to };
  }
  return null;
}

export const iso = (at: number): string => new Date(at).toISOString();

/** Ids of the largest set whose times ascend; of several, the one that ends earliest. Patience sorting. */
function longestAscending(ordered: readonly Stamped[]): Set<string> {
  const ends: number[] = []; // index of the smallest last element of an ascending run of length place + 1
  const before: (number | undefined)[] = [];
  ordered.forEach(({ at }, index) => {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ordered[ends[middle] as number] as Stamped).at <= at) low = middle + 1;
      else high = middle;
    }
    before[index] = ends[low - 1];
    ends[low] = index;
  });
  const fitting = new Set<string>();
  for (let index = ends.at(-1); index !== undefined; index = before[index]) fitting.add((ordered[index] as Stamped).id);
  return fitting;
}
