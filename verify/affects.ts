import { compareLsn, type Lsn } from '../core/lsn.ts';
import { segmentStart, type TimelineId, timelineOf } from '../core/segment.ts';
import type { TimelinePath } from '../core/timeline.ts';
import type { Affected, WalPosition } from '../core/verified.ts';
import { type Damage, nothingAffected } from './findings.ts';
import type { Gap } from './path.ts';

/** A backup's place in the WAL: from its record, or, where that is lost, from the report that told of it. */
export type PlacedBackup = {
  id: string;
  parent: string | null;
  timeline: TimelineId;
  startLsn: Lsn;
  stopLsn: Lsn;
  stoppedAt: string;
};

/** What of one era is known once everything was looked at. */
export type EraFacts = {
  era: string;
  segmentBytes: number;
  backups: readonly PlacedBackup[];
  /** Newest first; each with what cannot be replayed on it. */
  paths: readonly { path: TimelinePath; gaps: readonly Gap[] }[];
  /** First position of each timeline's own WAL in the archive. */
  firstOf: ReadonlyMap<TimelineId, Lsn>;
};

/**
 * What each finding of an era makes unrestorable, given all the others.
 * @returns by the finding's object.
 */
export function affectedBy(facts: EraFacts, damages: readonly Damage[]): Map<string, Affected> {
  const lost = lostBackups(facts, damages);
  const result = new Map<string, Affected>();
  for (const { object, subject } of damages) {
    if (subject.of === 'wal') {
      const found = gapOf(facts, subject.segment);
      result.set(
        object,
        found === null ? nothingAffected : affectedByGap(facts, lost, found.path, found.gap, found.gaps),
      );
    } else if (subject.of === 'backup') result.set(object, affectedByBackup(facts, lost, subject.id));
    else if (subject.of === 'history') result.set(object, affectedByHistory(facts, lost, subject.timeline));
    else if (subject.of === 'era') result.set(object, wholeEra(facts));
  }
  return result;
}

/** Backups of which something other than WAL is lost, and all that were made on top of them. */
function lostBackups({ backups }: EraFacts, damages: readonly Damage[]): Set<string> {
  const lost = new Set(
    damages.flatMap(({ subject, kind }) => (subject.of === 'backup' && kind !== 'foreign' ? [subject.id] : [])),
  );
  for (const id of [...lost]) for (const child of childrenOf(backups, id)) lost.add(child);
  return lost;
}

function childrenOf(backups: readonly PlacedBackup[], id: string): string[] {
  const children = backups.filter(({ parent }) => parent === id).map((child) => child.id);
  return children.flatMap((child) => [child, ...childrenOf(backups, child)]);
}

function gapOf({ paths }: EraFacts, segment: string) {
  for (const { path, gaps } of paths) {
    const gap = gaps.find(({ segments }) => segments.some(({ name }) => name === segment));
    if (gap !== undefined) return { path, gap, gaps };
  }
  return null;
}

function affectedByGap(
  facts: EraFacts,
  lost: ReadonlySet<string>,
  path: TimelinePath,
  gap: Gap,
  gaps: readonly Gap[],
): Affected {
  const backups = onPath(facts, path);
  const inside = backups.filter((backup) => overlaps(backup, gap));
  const usable = backups.filter((backup) => !lost.has(backup.id) && !gaps.some((each) => overlaps(backup, each)));
  const before = usable.filter(({ stopLsn }) => compareLsn(stopLsn, gap.start) <= 0);
  const cutShort = before.filter((backup) => reaches(backup, gap.start, gaps));
  const next = usable.find(({ startLsn }) => compareLsn(startLsn, gap.end) >= 0);
  const first = inside[0];
  const from: WalPosition | null =
    before.length > 0 ? { lsn: gap.start, at: null } : first === undefined ? null : endOf(first);
  return {
    ...nothingAffected,
    backups: idsOf(inside),
    cutShort: idsOf(cutShort),
    from,
    to: from === null || next === undefined ? null : endOf(next),
  };
}

function affectedByBackup(facts: EraFacts, lost: ReadonlySet<string>, id: string): Affected {
  const backups = [id, ...childrenOf(facts.backups, id)];
  const backup = facts.backups.find((each) => each.id === id);
  const found = backup && facts.paths.find(({ path }) => isOnPath(backup, path));
  if (backup === undefined || found === undefined) return { ...nothingAffected, backups };
  const usable = onPath(facts, found.path).filter(
    (each) => !lost.has(each.id) && !found.gaps.some((gap) => overlaps(each, gap)),
  );
  const serves = usable.some(
    (each) => compareLsn(each.stopLsn, backup.stopLsn) <= 0 && reaches(each, backup.stopLsn, found.gaps),
  );
  if (serves) return { ...nothingAffected, backups };
  const next = usable.find(({ stopLsn }) => compareLsn(stopLsn, backup.stopLsn) > 0);
  return { ...nothingAffected, backups, from: endOf(backup), to: next === undefined ? null : endOf(next) };
}

function affectedByHistory(facts: EraFacts, lost: ReadonlySet<string>, timeline: TimelineId): Affected {
  const lsn = facts.firstOf.get(timeline);
  const own = facts.backups.filter((backup) => backup.timeline === timeline);
  const before = facts.backups.filter(
    (backup) =>
      backup.timeline < timeline && !lost.has(backup.id) && lsn !== undefined && compareLsn(backup.stopLsn, lsn) <= 0,
  );
  const from = lsn === undefined ? null : { lsn, at: null };
  return { ...nothingAffected, backups: idsOf(own), cutShort: idsOf(before), from };
}

function wholeEra({ backups }: EraFacts): Affected {
  const [first] = backups;
  return { ...nothingAffected, backups: idsOf(backups), from: first === undefined ? null : endOf(first) };
}

/** By where they end. */
function onPath({ backups }: EraFacts, path: TimelinePath): PlacedBackup[] {
  return backups.filter((backup) => isOnPath(backup, path)).sort((a, b) => compareLsn(a.stopLsn, b.stopLsn));
}

function isOnPath({ timeline, startLsn, stopLsn }: PlacedBackup, path: TimelinePath): boolean {
  const stretch = path.find((each) => each.timeline === timeline);
  if (stretch === undefined || compareLsn(stretch.beginLsn, startLsn) > 0) return false;
  return stretch.endLsn === null || compareLsn(stopLsn, stretch.endLsn) <= 0;
}

/** Whether the backup needs WAL of the gap to become consistent; its stop is the first position that it does not need. */
function overlaps({ startLsn, stopLsn }: PlacedBackup, { start, end }: Gap): boolean {
  return compareLsn(startLsn, end) < 0 && compareLsn(stopLsn, start) > 0;
}

/** Whether replay from the backup comes as far as `to`. */
function reaches({ startLsn }: PlacedBackup, to: Lsn, gaps: readonly Gap[]): boolean {
  return !gaps.some(({ start, end }) => compareLsn(end, startLsn) > 0 && compareLsn(start, to) < 0);
}

const endOf = ({ stopLsn, stoppedAt }: PlacedBackup): WalPosition => ({ lsn: stopLsn, at: stoppedAt });
const idsOf = (backups: readonly PlacedBackup[]): string[] => backups.map(({ id }) => id);

/** The first position of each timeline in the archive, by its own segments. */
export function firstPositions(names: Iterable<string>, segmentBytes: number): Map<TimelineId, Lsn> {
  const first = new Map<TimelineId, Lsn>();
  for (const name of names) {
    const start = segmentStart(name as Parameters<typeof segmentStart>[0], segmentBytes);
    const known = first.get(timelineOf(name));
    if (known === undefined || compareLsn(start, known) < 0) first.set(timelineOf(name), start);
  }
  return first;
}
