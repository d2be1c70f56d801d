import { setTimeout as sleep } from 'node:timers/promises';
import { PgproofError } from '../core/errors.ts';
import { compareLsn, formatLsn, type Lsn } from '../core/lsn.ts';
import type { TimelineId } from '../core/segment.ts';
import { type HistoryEntry, pathTo, type TimelinePath } from '../core/timeline.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { findTools, type Tools } from '../postgres/tools.ts';
import { listHistoriesIn, listWalIn } from '../repository/merged.ts';
import type { Nearest } from '../repository/nearest.ts';
import type { BackupRecord, EraRecord } from '../repository/record.ts';
import type { WalListing } from '../repository/wal.ts';
import { type Coverage, coverageOf } from '../wal/inventory.ts';
import type { ArchivedWal } from '../wal/scan.ts';

/** What one era of a cluster offers along one path of timelines. */
export type Archive = {
  cluster: ProtectedCluster;
  copies: Nearest;
  era: EraRecord;
  /** False where a later era was declared: this one's WAL has ended for good. */
  current: boolean;
  tools: Tools;
  histories: { timeline: TimelineId; tag: string }[];
  path: TimelinePath;
  /** What PostgreSQL is told to follow. */
  timeline: TimelineId | 'current';
  listing: WalListing;
  /** Whole ones on the path; oldest first, by where they end. */
  backups: BackupRecord[];
};

/**
 * @param backups whole ones, of any era.
 * @param timeline null: the newest adopted one.
 * @throws {PgproofError} `tool-missing` for the era's major; `target-unreachable` for a timeline that is not in the archive.
 */
export async function openArchive(
  cluster: ProtectedCluster,
  copies: Nearest,
  { era, current }: { era: EraRecord; current: boolean },
  backups: readonly BackupRecord[],
  timeline: TimelineId | null,
  signal: AbortSignal,
): Promise<Archive> {
  const tools = await findTools(cluster.config.tools.bin, era.major);
  const { repositories, walKeys, name } = cluster;
  const { histories } = await listHistoriesIn(repositories, copies, walKeys, name, era.era, signal);
  const entries = new Map([...histories].map(([id, history]) => [id, history.entries]));
  const known = [...new Set([era.timeline, ...entries.keys()])].sort((a, b) => a - b);
  const chosen = timeline ?? (known.at(-1) as TimelineId);
  const path = pathOn(era, entries, chosen, known);
  const onPath = backups.filter((backup) => backup.era === era.era && isOnPath(backup, path)).sort(byStopLsn);
  return {
    cluster,
    copies,
    era,
    current,
    tools,
    histories: [...histories].map(([id, { tag }]) => ({ timeline: id, tag })),
    path,
    // Told a number above 1, PostgreSQL demands its history file (xlogrecovery.c, validateRecoveryParameters).
    timeline: chosen === 1 || entries.has(chosen) ? chosen : 'current',
    listing: await listSettled(cluster, era, path, onPath.at(-1), signal),
    backups: onPath,
  };
}

/**
 * Segments are shipped side by side, so that one which is on its way looks like a gap for a moment: a gap behind the newest
 * backup is looked at again.
 */
async function listSettled(
  { repositories, name }: ProtectedCluster,
  era: EraRecord,
  path: TimelinePath,
  newest: BackupRecord | undefined,
  signal: AbortSignal,
): Promise<WalListing> {
  for (let looks = 1; ; looks += 1) {
    const { listing } = await listWalIn(repositories, name, era, { signal });
    const hasGap =
      newest !== undefined && coverageOf(path, listing, newest.startLsn as Lsn, era.segmentBytes).stop.reason === 'gap';
    if (!hasGap || looks === 3) return listing;
    await sleep(500, undefined, { signal });
  }
}

export function coverageFrom({ path, listing, era }: Archive, start: Lsn): Coverage {
  return coverageOf(path, listing, start, era.segmentBytes);
}

export function walOf({ cluster, copies, tools, era }: Archive, { segments, endLsn }: Coverage): ArchivedWal {
  return { cluster, copies, tools, era: era.era, segmentBytes: era.segmentBytes, segments, endLsn };
}

/** An era that was declared on a later timeline than 1 may have no history file of it; then that timeline is the whole path. */
function pathOn(
  era: EraRecord,
  entries: ReadonlyMap<TimelineId, readonly HistoryEntry[]>,
  timeline: TimelineId,
  known: readonly TimelineId[],
): TimelinePath {
  if (!known.includes(timeline) && timeline !== 1) {
    throw new PgproofError('target-unreachable', `timeline ${timeline} is not in the archive of era ${era.era}`, {
      facts: { timeline, known },
      hint: `Timelines that can be restored: ${known.join(', ')}.`,
    });
  }
  if (timeline === era.timeline && !entries.has(timeline)) return [{ timeline, beginLsn: formatLsn(0n), endLsn: null }];
  return pathTo(timeline, entries);
}

/** The whole backup was taken on the path: a fork that leaves its timeline before the backup's end does not contain it. */
function isOnPath(backup: BackupRecord, path: TimelinePath): boolean {
  const stretch = path.find(({ timeline }) => timeline === backup.timeline);
  if (stretch === undefined) return false;
  const startsIn = compareLsn(stretch.beginLsn, backup.startLsn as Lsn) <= 0;
  return startsIn && (stretch.endLsn === null || compareLsn(backup.stopLsn as Lsn, stretch.endLsn) <= 0);
}

function byStopLsn(a: BackupRecord, b: BackupRecord): number {
  return compareLsn(a.stopLsn as Lsn, b.stopLsn as Lsn);
}
