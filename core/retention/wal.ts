import type { WalRange } from '../hold.ts';
import { formatLsn, type Lsn, lsnPosition } from '../lsn.ts';
import type { TimelineId } from '../segment.ts';
import type { TimelinePath } from '../timeline.ts';
import type { EraFacts, RepositoryFacts, WalPoint } from './facts.ts';
import { type Interval, type Intervals, minus, union } from './intervals.ts';
import { type Lineage, leadsThrough, lineageOf } from './lineage.ts';
import type { RetentionPlan } from './plan.ts';
import { standingHolds } from './protect.ts';

export type WalPlan = {
  era: string;
  /** What goes: whole segments, also those that are not there any more. */
  cuts: WalRange[];
  /** Segments that are there and go. */
  segments: number;
  /** Segments that are there and stay. */
  stays: number;
  /** Why all of the era's WAL stays; null where it is cut by what is needed. */
  doubt: string | null;
};

type Need = { from: WalPoint; to: WalPoint | null };

export type WalOptions = {
  /** What holds are compared with, milliseconds since 1970. */
  reference: number;
  /** At most so many segments go in one run; the next one goes on. @defaultValue 20,000 */
  most?: number;
};

/**
 * Which WAL goes: what no backup that is left needs to become consistent, what is not on the way from `continuousFrom` on, and what
 * neither a proof nor a hold needs. Counted from what is there, so that it can be planned anew whenever something stayed.
 * @param facts as they are once the backups are deleted.
 */
export function planWal(
  facts: RepositoryFacts,
  { continuousFrom, proven }: Pick<RetentionPlan, 'continuousFrom' | 'proven'>,
  { reference, most = 20_000 }: WalOptions,
): WalPlan[] {
  const start = facts.backups.find(({ id }) => id === continuousFrom);
  const standing = { ...facts, holds: standingHolds(facts, reference) };
  let left = most;
  return facts.eras.map((era, index) => {
    const startsAt = facts.eras.findIndex((each) => each.era === start?.era);
    const uncounted = continuousFrom === null ? 'no rule says that any may go' : 'no backup is left to count from';
    const doubt = start === undefined ? uncounted : doubtOf(standing, era);
    if (doubt !== null || startsAt < 0 || index > startsAt) return keepsAll(era, doubt);
    const needs = needsOf(standing, era.era, proven);
    if (start?.era === era.era) needs.push({ from: { timeline: start.timeline, lsn: start.startLsn }, to: null });
    const plan = planEra(era, needs, left);
    left -= plan.segments;
    return plan;
  });
}

function keepsAll({ era, wal }: EraFacts, doubt: string | null): WalPlan {
  return { era, cuts: [], segments: 0, stays: count(wal), doubt };
}

/** A damaged backup needs WAL, and where its record is lost nobody knows which. */
function doubtOf({ damaged, backups, holds }: RepositoryFacts, { era, doubt, ...facts }: EraFacts): string | null {
  if (doubt !== null) return doubt;
  const all = holds.find(({ needs }) => needs === null);
  if (all !== undefined) return `hold ${all.id} needs everything`;
  const lost = damaged.find((backup) => backup.era === era && backup.place === null);
  if (lost !== undefined) return `nobody knows which WAL the damaged backup ${lost.id} needs`;
  const { paths } = lineageOf({ era, doubt, ...facts });
  const strange = backups.find((backup) => backup.era === era && !paths.has(backup.timeline));
  return strange === undefined
    ? null
    : `backup ${strange.id} is of timeline ${strange.timeline}, which is not in the archive`;
}

function needsOf(
  { backups, damaged, leaving, awaited, holds }: RepositoryFacts,
  era: string,
  proven: RetentionPlan['proven'],
): Need[] {
  const own = backups.filter((backup) => backup.era === era);
  const going = leaving.filter((backup) => backup.era === era);
  const places = [
    ...own,
    ...going,
    ...awaited.filter((backup) => backup.era === era),
    ...damaged.flatMap((backup) => (backup.era === era && backup.place !== null ? [backup.place] : [])),
  ];
  const toConsistency = places.map(
    ({ timeline, startLsn, stopLsn }): Need => ({
      from: { timeline, lsn: startLsn },
      to: { timeline, lsn: stopLsn },
    }),
  );
  const toTarget = proven.flatMap(({ backup: id, upTo }): Need[] => {
    const backup = [...own, ...going].find((each) => each.id === id);
    return backup === undefined ? [] : [{ from: { timeline: backup.timeline, lsn: backup.startLsn }, to: upTo }];
  });
  const held = holds
    .flatMap(({ needs }) => needs ?? [])
    .filter((each) => each.era === era)
    .flatMap(({ wal }) => wal.map(heldNeed));
  return [...toConsistency, ...toTarget, ...held];
}

const heldNeed = ({ timeline, from, to }: WalRange): Need => ({
  from: { timeline, lsn: from },
  to: to === null ? null : { timeline, lsn: to },
});

function planEra(era: EraFacts, needs: readonly Need[], most: number): WalPlan {
  const lineage = lineageOf(era);
  const unknown = needs
    .flatMap(({ from, to }) => [from, ...(to === null ? [] : [to])])
    .find(({ timeline }) => !lineage.paths.has(timeline));
  if (unknown !== undefined)
    return keepsAll(era, `WAL of timeline ${unknown.timeline} is needed, which is not in the archive`);
  const needed = neededSegments(needs, lineage, era.segmentBytes);
  const cuts: WalRange[] = [];
  let segments = 0;
  for (const timeline of new Set(era.wal.map((run) => run.timeline))) {
    if (!lineage.paths.has(timeline)) continue; // not adopted: nobody knows whose it is
    const there = union(era.wal.filter((run) => run.timeline === timeline).map(({ from, to }) => ({ from, to })));
    const stays = union(needed.get(timeline) ?? []);
    for (const gap of gapsBetween(stays)) {
      const doomed = atMost(within(there, gap), most - segments);
      const [first, last] = [doomed[0], doomed.at(-1)];
      if (first === undefined || last === undefined) continue;
      const isWhole = amount(doomed) === amount(within(there, gap));
      // Between two stretches that are needed all goes, also what was lost there: nobody misses it.
      const isInner = gap.from !== null && gap.to !== null && isWhole;
      const from = isInner ? (gap.from as bigint) : first.from;
      const to = isInner ? (gap.to as bigint) : (last.to as bigint);
      cuts.push({ timeline, ...asLsn(from, to, era.segmentBytes) });
      segments += amount(doomed);
    }
  }
  return { era: era.era, cuts, segments, stays: count(era.wal) - segments, doubt: null };
}

/** By timeline: numbers of the segments that some need asks for. */
function neededSegments(needs: readonly Need[], { paths }: Lineage, segmentBytes: number): Map<TimelineId, Interval[]> {
  const needed = new Map<TimelineId, Interval[]>();
  const add = (path: TimelinePath, from: Lsn, to: Lsn | null): void => {
    for (const [timeline, interval] of segmentsOf(path, from, to, segmentBytes))
      needed.set(timeline, [...(needed.get(timeline) ?? []), interval]);
  };
  for (const { from, to } of needs) {
    if (to !== null) add(paths.get(to.timeline) as TimelinePath, from.lsn, to.lsn);
    else for (const path of paths.values()) if (leadsThrough(path, from)) add(path, from.lsn, null);
  }
  return needed;
}

/** Of each timeline of the path: the segments that recovery between the two positions may read. @see segmentsOnPath */
function* segmentsOf(
  path: TimelinePath,
  from: Lsn,
  to: Lsn | null,
  segmentBytes: number,
): Generator<[TimelineId, Interval]> {
  const size = BigInt(segmentBytes);
  const holding = (lsn: Lsn): bigint => lsnPosition(lsn) / size;
  const lastBefore = (lsn: Lsn): bigint => (lsnPosition(lsn) + size - 1n) / size - 1n;
  for (const { timeline, beginLsn, endLsn } of path) {
    const first = larger(holding(beginLsn), holding(from));
    const ends = [endLsn, to].filter((lsn) => lsn !== null).map(lastBefore);
    const last = ends.length === 0 ? null : ends.reduce(smaller);
    if (last === null || last >= first) yield [timeline, { from: first, to: last }];
  }
}

/** What lies before, between and behind; a null bound is open. */
function gapsBetween(stays: Intervals): { from: bigint | null; to: bigint | null }[] {
  const gaps: { from: bigint | null; to: bigint | null }[] = [];
  let from: bigint | null = null;
  for (const interval of stays) {
    gaps.push({ from, to: interval.from - 1n });
    if (interval.to === null) return gaps;
    from = interval.to + 1n;
  }
  return [...gaps, { from, to: null }];
}

function within(there: Intervals, { from, to }: { from: bigint | null; to: bigint | null }): Interval[] {
  const outside: Interval[] = [];
  if (from !== null && from > 0n) outside.push({ from: 0n, to: from - 1n });
  if (to !== null) outside.push({ from: to + 1n, to: null });
  return minus(there, union(outside));
}

/** The first so many. */
function atMost(intervals: readonly Interval[], most: number): Interval[] {
  const taken: Interval[] = [];
  let left = BigInt(Math.max(0, most));
  for (const { from, to } of intervals) {
    if (left <= 0n) break;
    const last = from + left - 1n;
    const end = last < (to as bigint) ? last : (to as bigint);
    taken.push({ from, to: end });
    left -= end - from + 1n;
  }
  return taken;
}

// Math.max knows no bigint.
const larger = (a: bigint, b: bigint): bigint => [a, b].sort((x, y) => (x < y ? 1 : -1))[0] as bigint;
const smaller = (a: bigint, b: bigint): bigint => [a, b].sort((x, y) => (x < y ? -1 : 1))[0] as bigint;

const amount = (intervals: readonly Interval[]): number =>
  intervals.reduce((sum, { from, to }) => sum + Number((to as bigint) - from + 1n), 0);

const count = (wal: EraFacts['wal']): number => wal.reduce((sum, { from, to }) => sum + Number(to - from + 1n), 0);

function asLsn(from: bigint, to: bigint, segmentBytes: number): Pick<WalRange, 'from' | 'to'> {
  const size = BigInt(segmentBytes);
  return { from: formatLsn(from * size), to: formatLsn((to + 1n) * size) };
}
