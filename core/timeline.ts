import { PgproofError } from './errors.ts';
import { compareLsn, formatLsn, type Lsn, lsnPosition, parseLsn } from './lsn.ts';
import { type SegmentName, segmentName, segmentNumberAt, type TimelineId } from './segment.ts';

/** One line of a history file: the WAL of `timeline` counts up to `switchLsn`, where the next one begins. */
export type HistoryEntry = { timeline: TimelineId; switchLsn: Lsn; reason: string };

/** One stretch of a timeline path; `endLsn` null: open at the end. */
export type TimelineStretch = { timeline: TimelineId; beginLsn: Lsn; endLsn: Lsn | null };

/** Oldest stretch first; the last one is the timeline itself. */
export type TimelinePath = readonly TimelineStretch[];

/**
 * Reads the text of a `.history` file.
 * @throws {PgproofError} `wal-unreadable` when a line is not of the form, or timelines do not ascend.
 * Source: PostgreSQL src/backend/access/transam/timeline.c, readTimeLineHistory.
 */
export function parseHistory(name: string, text: string): HistoryEntry[] {
  const entries = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => parseHistoryLine(name, line));
  const own = Number.parseInt(name.slice(0, 8), 16);
  entries.forEach((entry, index) => {
    const previous = entries[index - 1];
    const ascends = previous === undefined || previous.timeline < entry.timeline;
    if (!ascends || entry.timeline >= own) throw unreadable(name, 'its timelines do not ascend');
  });
  return entries;
}

/**
 * The path of WAL that leads to `timeline`.
 * @param histories parsed history files by timeline; timeline 1 has none.
 * @throws {PgproofError} `timeline-not-adopted` when the history file of a timeline above 1 is not there.
 */
export function pathTo(
  timeline: TimelineId,
  histories: ReadonlyMap<TimelineId, readonly HistoryEntry[]>,
): TimelinePath {
  const history = histories.get(timeline);
  if (history === undefined && timeline !== 1) {
    throw new PgproofError('timeline-not-adopted', `timeline ${timeline} has no history file in the repository`, {
      facts: { timeline },
      hint: 'Only timelines that the configured leader has archived can be restored.',
    });
  }
  const path: TimelineStretch[] = [];
  let beginLsn = formatLsn(0n);
  for (const entry of history ?? []) {
    path.push({ timeline: entry.timeline, beginLsn, endLsn: entry.switchLsn });
    beginLsn = entry.switchLsn;
  }
  path.push({ timeline, beginLsn, endLsn: null });
  return path;
}

/** The timeline whose WAL counts at `lsn` on this path; a switch point itself belongs to the new timeline. */
export function timelineAt(path: TimelinePath, lsn: Lsn): TimelineId {
  const stretch = path.find(({ endLsn }) => endLsn === null || compareLsn(lsn, endLsn) < 0);
  if (stretch === undefined) throw new PgproofError('internal', `no stretch of the timeline path holds ${lsn}`);
  return stretch.timeline;
}

/**
 * For each segment number from `start` up to the one that holds the byte before `end`: its candidates, the newest
 * timeline first. Recovery reads a segment from the newest timeline that had begun in it, and falls back to older ones.
 * Source: PostgreSQL src/backend/access/transam/xlogrecovery.c, XLogFileReadAnyTLI.
 */
export function segmentsOnPath(path: TimelinePath, start: Lsn, end: Lsn, segmentBytes: number): SegmentName[][] {
  const size = BigInt(segmentBytes);
  const behind = (lsnPosition(end) + size - 1n) / size;
  const result: SegmentName[][] = [];
  for (let number = segmentNumberAt(start, segmentBytes); number < behind; number += 1n) {
    const holders = path.filter(({ beginLsn, endLsn }) => {
      const begins = segmentNumberAt(beginLsn, segmentBytes) <= number;
      const reaches = endLsn === null || lsnPosition(endLsn) > number * size;
      return begins && reaches;
    });
    result.push(holders.map(({ timeline }) => segmentName(timeline, number, segmentBytes)).reverse());
  }
  return result;
}

function parseHistoryLine(name: string, line: string): HistoryEntry {
  const match = /^(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)(?:\s+(.*))?$/.exec(line);
  if (match === null) throw unreadable(name, `it has the line '${line}'`);
  return { timeline: Number(match[1]), switchLsn: parseLsn(match[2] as string), reason: match[3] ?? '' };
}

function unreadable(name: string, why: string): PgproofError {
  return new PgproofError('wal-unreadable', `the history file '${name}' is not readable: ${why}`, { facts: { name } });
}
