import type { WalRange } from '../hold.ts';
import { formatLsn, lsnPosition } from '../lsn.ts';
import { union } from './intervals.ts';

/** The same WAL in as few ranges as there can be. */
export function joinRanges(ranges: readonly WalRange[]): WalRange[] {
  return [...new Set(ranges.map(({ timeline }) => timeline))]
    .sort((a, b) => a - b)
    .flatMap((timeline) => {
      const own = ranges.filter((range) => range.timeline === timeline);
      const bytes = own.map(({ from, to }) => ({
        from: lsnPosition(from),
        to: to === null ? null : lsnPosition(to) - 1n,
      }));
      return union(bytes).map(({ from, to }) => ({
        timeline,
        from: formatLsn(from),
        to: to === null ? null : formatLsn(to + 1n),
      }));
    });
}
