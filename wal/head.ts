import { compareLsn, formatLsn, type Lsn } from '../core/lsn.ts';
import { segmentName, segmentNameAt, segmentNumberAt, segmentStart } from '../core/segment.ts';
import { type TimelinePath, timelineAt } from '../core/timeline.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { newestBackup } from '../repository/newest.ts';
import type { BackupRecord, EraRecord } from '../repository/record.ts';
import type { WalListing } from '../repository/wal.ts';
import { tagsAround } from './archived.ts';
import { archiveFrontier, type Frontier, readArchive } from './frontier.ts';
import { currentLineage, currentPath } from './lineage.ts';

/** The newest end of what `cluster.repository` holds of the current era. */
export type Head = { era: EraRecord; backup: BackupRecord | null; frontier: Frontier };

type Options = { signal?: AbortSignal };

/**
 * The newest backup, and how far WAL reaches behind it without a gap. Asked every few minutes, so with few requests: neither
 * the catalogue nor all the WAL is read. Of a gap it sees what lies in the same 4 GiB of WAL.
 * @throws {PgproofError} as `readArchive`.
 */
export async function readHead(cluster: ProtectedCluster, options: Options = {}): Promise<Head> {
  const lineage = await currentLineage(cluster, options);
  const { era } = lineage;
  const path = currentPath(lineage);
  const { repository, keys, name } = cluster;
  const isOnPath = ({ startLsn, timeline }: BackupRecord): boolean => timelineAt(path, startLsn as Lsn) === timeline;
  const backup = await newestBackup(repository, keys, name, era.era, isOnPath, options);
  if (backup === null) return { era, backup, frontier: sinceEra((await readArchive(cluster, options)).frontier, era) };
  const start = backup.startLsn as Lsn;
  const listing = await listFrom(cluster, era, path, start, options);
  return { era, backup, frontier: archiveFrontier(path, listing, start, era.segmentBytes) };
}

/** Where nothing is archived yet, all that is asked for begins with the segment in which the era does. */
function sinceEra(frontier: Frontier, { startLsn, timeline, segmentBytes }: EraRecord): Frontier {
  if (frontier.lsn !== '0/0') return frontier;
  const lsn = segmentStart(segmentNameAt(startLsn as Lsn, timeline, segmentBytes), segmentBytes);
  return { ...frontier, lsn, anchor: lsn };
}

/** The WAL from a position on, up to the first 4 GiB that do not go on into the next. */
async function listFrom(
  cluster: ProtectedCluster,
  { era, segmentBytes }: EraRecord,
  path: TimelinePath,
  from: Lsn,
  options: Options,
): Promise<WalListing> {
  const listing: WalListing = new Map();
  const perLog = 0x1_0000_0000n / BigInt(segmentBytes);
  for (let log = segmentNumberAt(from, segmentBytes) / perLog; ; log += 1n) {
    const begin = formatLsn(log << 32n);
    const end = formatLsn((log + 1n) << 32n);
    const holders = path.filter(
      ({ beginLsn, endLsn }) => compareLsn(beginLsn, end) < 0 && (endLsn === null || compareLsn(endLsn, begin) > 0),
    );
    let goesOn = false;
    for (const { timeline } of holders) {
      const tags = await tagsAround(cluster, era, segmentName(timeline, log * perLog, segmentBytes), options);
      for (const [segment, contents] of tags) listing.set(segment, contents);
      goesOn ||= tags.has(segmentName(timeline, (log + 1n) * perLog - 1n, segmentBytes));
    }
    if (!goesOn) return listing;
  }
}
