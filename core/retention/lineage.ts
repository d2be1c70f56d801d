import { compareLsn, formatLsn } from '../lsn.ts';
import type { TimelineId } from '../segment.ts';
import { pathTo, type TimelinePath } from '../timeline.ts';
import type { BackupPlace, EraFacts, WalPoint } from './facts.ts';

/** The timelines of one era, each with the path of WAL that leads to it. */
export type Lineage = {
  /** The newest adopted timeline: PostgreSQL only ever goes up. */
  newest: TimelineId;
  paths: ReadonlyMap<TimelineId, TimelinePath>;
};

/** Timelines with WAL and no history file have no path: nobody knows what leads to them. */
export function lineageOf({ timeline, histories }: EraFacts): Lineage {
  const paths = new Map<TimelineId, TimelinePath>();
  const ancestors = [...histories.values()].flatMap((entries) => entries.map((entry) => entry.timeline));
  for (const known of [timeline, ...ancestors, ...histories.keys()]) {
    // An era may have been declared on a timeline above 1 whose history file was never archived; ancestors likewise.
    const alone: TimelinePath = [{ timeline: known, beginLsn: formatLsn(0n), endLsn: null }];
    paths.set(known, histories.has(known) ? pathTo(known, histories) : alone);
  }
  return { newest: Math.max(timeline, ...histories.keys()), paths };
}

/** Whether WAL of the path leads through this position; a switch point belongs to both of its timelines. */
export function leadsThrough(path: TimelinePath, { timeline, lsn }: WalPoint): boolean {
  const stretch = path.find((each) => each.timeline === timeline);
  if (stretch === undefined || compareLsn(stretch.beginLsn, lsn) > 0) return false;
  return stretch.endLsn === null || compareLsn(lsn, stretch.endLsn) <= 0;
}

/** Whether the whole backup was taken on the way to the newest timeline. */
export function isOnCurrentPath({ newest, paths }: Lineage, { timeline, startLsn, stopLsn }: BackupPlace): boolean {
  const path = paths.get(newest) as TimelinePath;
  return leadsThrough(path, { timeline, lsn: startLsn }) && leadsThrough(path, { timeline, lsn: stopLsn });
}
