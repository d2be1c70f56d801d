/** Whole numbers from `from` to `to`, both included; `to` null: without end. */
export type Interval = { from: bigint; to: bigint | null };

/** Ascending, and no two touch. */
export type Intervals = readonly Interval[];

export function union(intervals: readonly Interval[]): Intervals {
  const joined: Interval[] = [];
  for (const { from, to } of intervals.toSorted((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))) {
    const last = joined.at(-1);
    if (last === undefined || (last.to !== null && from > last.to + 1n)) joined.push({ from, to });
    else if (last.to !== null && (to === null || to > last.to)) last.to = to;
  }
  return joined;
}

/** What of these is in none of the others. */
export function minus(intervals: Intervals, others: Intervals): Interval[] {
  const left: Interval[] = [];
  for (const { from, to } of intervals) {
    let next: bigint | null = from;
    for (const other of others) {
      if (next === null || (to !== null && other.from > to)) break;
      if (other.to !== null && other.to < next) continue;
      if (other.from > next) left.push({ from: next, to: other.from - 1n });
      next = other.to === null ? null : other.to + 1n;
    }
    if (next !== null && (to === null || next <= to)) left.push({ from: next, to });
  }
  return left;
}
