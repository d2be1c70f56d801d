import { PgproofError } from '../core/errors.ts';
import { compareLsn, type Lsn } from '../core/lsn.ts';
import { type SegmentName, segmentEnd, segmentStart, type TimelineId, timelineOf } from '../core/segment.ts';
import { type HistoryEntry, parseHistory, type TimelineStretch } from '../core/timeline.ts';
import type { WalHeader } from '../postgres/walpage.ts';
import type { EraRecord } from '../repository/record.ts';
import type { Leader } from './leader.ts';
import { contestedError, currentPath, type Lineage } from './lineage.ts';

/*
 * What may enter the archive (invariant 4), decided from facts alone. `refuse` only on proof; where the one who could tell
 * cannot be asked, the file waits in the spool and holds up no other.
 */
export type Verdict =
  | { verdict: 'ship'; lineage: Lineage }
  /** Already durable in the repository, or without use for it. */
  | { verdict: 'release' }
  | { verdict: 'wait' | 'refuse'; error: PgproofError };

export type Known = {
  /** The current era's first; then older ones, whose last WAL may still be in the spool. */
  lineages: readonly Lineage[];
  /** What the configured server said after the spool was listed; undefined when it cannot be asked. */
  leader: Leader | undefined;
  /** Why it cannot be asked. */
  problem: PgproofError | undefined;
};

export function judgeSegment(name: SegmentName, bytes: number, header: WalHeader, known: Known): Verdict {
  const broken = contradiction(name, bytes, header);
  if (broken !== undefined) return { verdict: 'refuse', error: foreign(name, broken) };

  const lineage = known.lineages.find(({ era }) => era.systemId === header.systemId);
  if (lineage === undefined) return judgeStranger(name, header.systemId, known);
  if (lineage.era.segmentBytes !== bytes) {
    return {
      verdict: 'refuse',
      error: foreign(name, `its size is ${bytes} bytes, the era's ${lineage.era.segmentBytes}`),
    };
  }
  if (lineage.contested.has(timelineOf(name))) return { verdict: 'wait', error: contestedError(timelineOf(name)) };
  const isCurrent = lineage === known.lineages[0];
  const leader = isCurrent ? leaderOf(lineage.era, known.leader) : undefined;
  if (!lineage.adopted.has(timelineOf(name))) {
    return { verdict: isCurrent && leader === undefined ? 'wait' : 'refuse', error: notAdopted(name, leader, known) };
  }
  const outside = outsideOfLineage(name, bytes, lineage) ?? aheadOf(leader, name, bytes);
  return outside === undefined ? { verdict: 'ship', lineage } : { verdict: 'refuse', error: outside };
}

/**
 * A history file names no system, so only the leader's own lineage tells whether it is ours.
 * @param text as PostgreSQL wrote it.
 */
export function judgeHistory(name: string, text: string, known: Known): Verdict {
  const timeline = timelineOf(name);
  const entries = readEntries(name, text);
  if (entries instanceof PgproofError) return { verdict: 'refuse', error: entries };
  if (known.lineages.some(({ histories }) => histories.get(timeline)?.text === text)) return { verdict: 'release' };

  const [lineage] = known.lineages as [Lineage];
  if (lineage.contested.has(timeline)) return { verdict: 'wait', error: contestedError(timeline) };
  const leader = leaderOf(lineage.era, known.leader);
  const unasked = leader === undefined ? 'wait' : 'refuse';
  if (lineage.histories.has(timeline)) {
    return { verdict: unasked, error: notAdopted(name, leader, known, 'another history of it was adopted') };
  }
  const heirs = [...lineage.histories.values()].flatMap((heir) => ancestry(heir.entries, timeline) ?? []);
  if (heirs.length > 0) {
    return heirs.some((ancestors) => sameEntries(ancestors, entries))
      ? { verdict: 'ship', lineage }
      : {
          verdict: 'refuse',
          error: notAdopted(name, leader, known, 'it contradicts the history of an adopted timeline'),
        };
  }
  return { verdict: unasked, error: notAdopted(name, leader, known) };
}

/** The server as an authority on this era: another system is none. */
export function leaderOf(era: EraRecord, leader: Leader | undefined): Leader | undefined {
  return leader?.systemId === era.systemId ? leader : undefined;
}

/** What the segment says of itself that its name denies. */
function contradiction(name: SegmentName, bytes: number, header: WalHeader): string | undefined {
  if (header.segmentBytes !== bytes) return `it has ${bytes} bytes and says ${header.segmentBytes}`;
  const start = segmentStart(name, bytes);
  if (header.pageAddress !== start) return `it begins at ${header.pageAddress}, and its name says ${start}`;
  // A timeline that begins inside a segment starts it with a copy of its parent's pages, so an older one is right.
  if (header.timeline > timelineOf(name)) return `its first page is of timeline ${header.timeline}`;
  return undefined;
}

/** WAL of a system that no era was declared for: the server itself after initdb or pg_upgrade, or somebody else's. */
function judgeStranger(name: SegmentName, systemId: string, { leader }: Known): Verdict {
  if (leader !== undefined && leader.systemId !== systemId) {
    return { verdict: 'refuse', error: foreign(name, `it is of system ${systemId}, which is not this cluster's`) };
  }
  const what = leader === undefined ? 'and the configured server cannot be asked' : 'which is the configured server';
  return {
    verdict: 'wait',
    error: new PgproofError(
      'era-mismatch',
      `segment ${name} is of system ${systemId}, ${what}; no era was declared for it`,
      {
        facts: { file: name, systemId },
        hint: 'After initdb or pg_upgrade run `pgproof era new`, then take a backup. Until then this WAL stays in the spool.',
      },
    ),
  };
}

/** A timeline that ended takes no more WAL: what lies behind its end was written by a server that was not told. */
function outsideOfLineage(name: SegmentName, bytes: number, lineage: Lineage): PgproofError | undefined {
  const timeline = timelineOf(name);
  const stretch = stretchOf(lineage, timeline);
  if (stretch === undefined) return undefined;
  if (stretch.endLsn !== null && compareLsn(segmentStart(name, bytes), stretch.endLsn) >= 0) {
    return diverged(name, `timeline ${timeline} ended at ${stretch.endLsn}`, stretch.endLsn);
  }
  if (compareLsn(segmentEnd(name, bytes), stretch.beginLsn) <= 0) {
    return diverged(name, `timeline ${timeline} began at ${stretch.beginLsn}`, stretch.beginLsn);
  }
  return undefined;
}

function stretchOf(lineage: Lineage, timeline: TimelineId): TimelineStretch | undefined {
  // Without the history of its own timeline the era says nothing of where others end.
  if (lineage.newest !== 1 && !lineage.histories.has(lineage.newest)) return undefined;
  return currentPath(lineage).find((stretch) => stretch.timeline === timeline);
}

/** The leader was asked after the spool was listed, so whatever it archived lies behind it. */
function aheadOf(leader: Leader | undefined, name: SegmentName, bytes: number): PgproofError | undefined {
  if (leader?.timeline !== timelineOf(name) || compareLsn(segmentEnd(name, bytes), leader.insertLsn) <= 0)
    return undefined;
  return diverged(name, `the configured server has come only to ${leader.insertLsn}`, leader.insertLsn);
}

function ancestry(entries: readonly HistoryEntry[], timeline: TimelineId): [readonly HistoryEntry[]] | undefined {
  const index = entries.findIndex((entry) => entry.timeline === timeline);
  return index < 0 ? undefined : [entries.slice(0, index)];
}

function sameEntries(a: readonly HistoryEntry[], b: readonly HistoryEntry[]): boolean {
  return (
    a.length === b.length &&
    a.every((entry, i) => entry.timeline === b[i]?.timeline && entry.switchLsn === b[i]?.switchLsn)
  );
}

function readEntries(name: string, text: string): HistoryEntry[] | PgproofError {
  try {
    return parseHistory(name, text);
  } catch (error) {
    if (error instanceof PgproofError) return error;
    throw error;
  }
}

function foreign(file: string, why: string): PgproofError {
  return new PgproofError('wal-foreign', `segment ${file} is not WAL of this cluster: ${why}`, {
    facts: { file },
    hint: 'Another server archives into this spool: find it and correct its archive_command.',
  });
}

function diverged(file: string, why: string, lsn: Lsn): PgproofError {
  return new PgproofError('wal-foreign', `segment ${file} is not WAL of this cluster's history: ${why}`, {
    facts: { file, lsn },
    hint: 'An old primary or a copy of this cluster archives into this spool: find it and stop it, or correct its archive_command.',
  });
}

function notAdopted(file: string, leader: Leader | undefined, { problem }: Known, why?: string): PgproofError {
  const timeline = timelineOf(file);
  const reason =
    why ??
    (leader === undefined
      ? (decisionOf(problem)?.message ?? unasked(problem))
      : `and the configured server is on timeline ${leader.timeline}`);
  return new PgproofError('timeline-not-adopted', `'${file}': timeline ${timeline} was not adopted, ${reason}`, {
    facts: { file, timeline, leaderTimeline: leader?.timeline ?? null },
    hint: leader === undefined ? whileUnasked(problem) : afterFailover,
  });
}

const afterFailover =
  'A restored or promoted copy archives into this spool: correct its archive_command. After a failover let clusters.<name>.connection name the new primary.';

/** A standby that was promoted here: what a person has to decide. */
const decisionOf = (problem: PgproofError | undefined): PgproofError | undefined =>
  problem?.code === 'timeline-not-adopted' ? problem : undefined;

const unasked = (problem: PgproofError | undefined): string =>
  `and the configured server cannot tell whether it is ours${problem === undefined ? '' : `: ${problem.message}`}`;

function whileUnasked(problem: PgproofError | undefined): string {
  return (
    decisionOf(problem)?.hint ??
    'It stays in the spool until the server that the configuration names answers as the primary of this cluster.'
  );
}
