import { compareLsn, type Lsn, lsnPosition } from '../core/lsn.ts';
import {
  type SegmentName,
  segmentEnd,
  segmentName,
  segmentNumber,
  segmentStart,
  type TimelineId,
  timelineOf,
} from '../core/segment.ts';
import { segmentsOnPath, type TimelinePath, timelineAt } from '../core/timeline.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { listBackups } from '../repository/catalogue.ts';
import { listCuts } from '../repository/cuts.ts';
import type { CutRecord, EraRecord } from '../repository/record.ts';
import { listWal, type WalListing } from '../repository/wal.ts';
import { coverageOf } from './inventory.ts';
import { currentLineage, currentPath } from './lineage.ts';

/** How far the archive reaches without a gap: all WAL from `anchor` up to `lsn` on `path` is in the repository. */
export type Frontier = {
  timeline: TimelineId;
  /** The first position that is not archived; 0/0 where nothing is. */
  lsn: Lsn;
  /** What comes next although later segments are there: the first gap, at most 16 names. A segment with two contents counts as missing. */
  missing: SegmentName[];
  /** Where it counts from: the start of the newest backup, otherwise the first segment. */
  anchor: Lsn;
  path: TimelinePath;
};

export type ArchiveState = {
  era: EraRecord;
  frontier: Frontier;
  listing: WalListing;
  newestBackup: string | null;
  /** WAL that expired: nobody brings it back. */
  cuts: CutRecord[];
};

type Options = { signal?: AbortSignal };

/**
 * Where the archive's contiguous WAL ends (invariant 3): it passes no segment that is missing or that exists twice, and
 * follows the timeline path, so that WAL of an abandoned timeline moves nothing.
 */
export function archiveFrontier(path: TimelinePath, listing: WalListing, anchor: Lsn, segmentBytes: number): Frontier {
  const { endLsn, stop } = coverageOf(path, listing, anchor, segmentBytes);
  const missing = stop.reason === 'end' ? [] : firstGap(path, listing, stop.segment, segmentBytes);
  return { timeline: timelineAt(path, endLsn), lsn: endLsn, missing, anchor, path };
}

/**
 * Reads it from the repository, which alone knows.
 * @throws {PgproofError} `era-undeclared`; `wal-conflict` for history files; `timeline-not-adopted` before the era's own history is there.
 */
export async function readFrontier(cluster: ProtectedCluster, options: Options = {}): Promise<Frontier> {
  return (await readArchive(cluster, options)).frontier;
}

export async function readArchive(cluster: ProtectedCluster, options: Options = {}): Promise<ArchiveState> {
  const lineage = await currentLineage(cluster, options);
  const { era } = lineage;
  const path = currentPath(lineage);
  const backup = await newestBackup(cluster, era, path, options);
  const listing: WalListing = new Map();
  for (const { timeline } of path) {
    const found = await listWal(cluster.repository, cluster.name, era.era, { timeline, ...options });
    for (const [segment, tags] of found) listing.set(segment, tags);
  }
  const anchor = backup?.startLsn ?? firstArchived(path, listing, era.segmentBytes);
  const frontier =
    anchor === undefined
      ? { timeline: lineage.newest, lsn: '0/0' as Lsn, missing: [], anchor: '0/0' as Lsn, path }
      : archiveFrontier(path, listing, anchor, era.segmentBytes);
  const cuts = await listCuts(cluster.repository, cluster.name, era.era, options);
  return { era, frontier, listing, newestBackup: backup?.id ?? null, cuts };
}

/** Of the backups on the path, the one that begins last. A damaged record is none. */
async function newestBackup(
  { repository, keys, name }: ProtectedCluster,
  era: EraRecord,
  path: TimelinePath,
  options: Options,
): Promise<{ id: string; startLsn: Lsn } | undefined> {
  const entries = await listBackups(repository, keys, name, options);
  return entries
    .flatMap((entry) => (entry.state === 'whole' && entry.era === era.era ? [entry.record] : []))
    .map(({ id, startLsn, timeline }) => ({ id, startLsn: startLsn as Lsn, timeline }))
    .filter(({ startLsn, timeline }) => timelineAt(path, startLsn) === timeline)
    .sort((a, b) => compareLsn(a.startLsn, b.startLsn))
    .at(-1);
}

function firstArchived(path: TimelinePath, listing: WalListing, segmentBytes: number): Lsn | undefined {
  const onPath = new Set(path.map(({ timeline }) => timeline));
  const starts = [...listing.keys()]
    .filter((name) => onPath.has(timelineOf(name)))
    .map((name) => segmentStart(name, segmentBytes));
  return starts.sort(compareLsn)[0];
}

function firstGap(path: TimelinePath, listing: WalListing, first: SegmentName, segmentBytes: number): SegmentName[] {
  const start = segmentStart(first, segmentBytes);
  const end = segmentEnd(segmentName(1, segmentNumber(first, segmentBytes) + 15n, segmentBytes), segmentBytes);
  const names = segmentsOnPath(path, start, end, segmentBytes).map(([newest]) => newest as SegmentName);
  const present = names.findIndex((name, index) => index > 0 && listing.get(name)?.length === 1);
  return present < 0 ? names : names.slice(0, present);
}

/** Bytes of WAL between two positions; 0 when the second is not behind the first. */
export function walBytesBetween(from: Lsn, to: Lsn): number {
  const bytes = lsnPosition(to) - lsnPosition(from);
  return bytes > 0n ? Number(bytes) : 0;
}
