import { type DumpKind, databaseName } from '../core/dump.ts';
import { instantsAt, offsetMinutes } from '../core/zone.ts';
import type { OldDump } from './inventory.ts';

/** What is known of an old dump, from its report, its name and itself, in this order. */
export type OldFacts = {
  kind: DumpKind | null;
  database: string | null;
  /** When it was begun: what was committed before is in it. */
  startedAt: Date;
  finishedAt: Date;
  /** Who says so; `file`: nobody but the file system, and that is when it ended. */
  timeFrom: 'report' | 'name' | 'dump' | 'file';
  /** Its clock may be another one than was assumed: begun after its file was last written. */
  isLaterThanFile: boolean;
  /** Of the layout; null where that has none. */
  tier: string | null;
  host: string | null;
  notes: string[];
};

/** Clocks of two machines, and file systems that know whole seconds only. */
const slackMs = 60_000;
/** Longer ago than a dump takes, the file's time is that of a copy. */
const longestMs = 24 * 3_600_000;

/** @param zone of the scripts' clocks, by IANA; null: not said, and taken for UTC. */
export function factsOf(dump: OldDump, zone: string | null): OldFacts {
  const { named, source, report, modifiedAt } = dump;
  const time = timeOf(dump, zone ?? 'UTC');
  const startedAt = new Date(time.at);
  const isLaterThanFile = time.isAssumed && zone === null && time.at > modifiedAt.getTime() + slackMs;
  const tookMs = modifiedAt.getTime() - time.at;
  const ended = report?.finishedAt ?? (tookMs >= 0 && tookMs < longestMs ? modifiedAt.getTime() : time.at);
  return {
    kind: source?.kind ?? null,
    database: source !== null && source.kind !== 'database' ? null : databaseOf(dump),
    startedAt,
    finishedAt: new Date(Math.max(ended, time.at)),
    timeFrom: time.from,
    isLaterThanFile,
    tier: named.tier,
    host: named.host,
    notes: [
      ...(source?.disagreement ? [source.disagreement] : []),
      ...(isLaterThanFile
        ? [`begun after its file was written: the scripts' clock was not UTC, say which: --zone`]
        : []),
      ...(time.isAssumed && zone === null && !isLaterThanFile
        ? ['time without a zone, taken for UTC: --zone says otherwise']
        : []),
      ...(time.from === 'file' ? ['nothing but its file says when it was made'] : []),
    ],
  };
}

function databaseOf({ report, named, source }: OldDump): string | null {
  const told = source?.head.database ?? report?.database ?? named.database;
  return databaseName.safeParse(told).success ? told : null;
}

type Time = { at: number; from: OldFacts['timeFrom']; isAssumed: boolean };

function timeOf({ report, named, source, modifiedAt }: OldDump, zone: string): Time {
  if (report !== null) return { at: report.startedAt, from: 'report', isAssumed: false };
  if (named.time !== null) {
    const { wall, isUtc } = named.time;
    return { at: isUtc ? wall : earliest(zone, wall), from: 'name', isAssumed: !isUtc };
  }
  const wall = source?.head.wallTime ?? null;
  if (wall !== null) return { at: earliest(zone, wall), from: 'dump', isAssumed: true };
  return { at: modifiedAt.getTime(), from: 'file', isAssumed: false };
}

/** In the hour that comes twice the first one: a dump must not be said to hold what came later. */
const earliest = (zone: string, wall: number): number =>
  instantsAt(zone, wall)[0] ?? wall - offsetMinutes(zone, wall) * 60_000;
