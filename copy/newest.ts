import { type Lsn, lsnPosition } from '../core/lsn.ts';
import { type SegmentName, segmentNumber, segmentNumberAt } from '../core/segment.ts';
import type { BackupEntry } from '../repository/catalogue.ts';
import { commitState } from '../repository/commit-state.ts';
import type { BackupRecord, EraRecord } from '../repository/record.ts';
import { backupShelf } from '../repository/shelf.ts';
import { copyArchive, every } from './archive.ts';
import { copyBackups } from './backups.ts';
import type { Copying } from './copying.ts';

/**
 * Copies the newest backup and the WAL from its start on, before all older things: a new copy of many terabytes protects from
 * this moment on, not from its end on.
 * @returns which WAL and which backups are left to be copied; undefined when the newest backup is there already, and all are.
 */
export async function copyNewest(
  copying: Copying,
  era: EraRecord,
  entries: readonly BackupEntry[],
  walEverySeconds: number,
): Promise<{ isOlder(segment: SegmentName): boolean; others: BackupEntry[] } | undefined> {
  const { to, cluster, run } = copying;
  const whole = entries.flatMap((entry) => (entry.state === 'whole' && entry.era === era.era ? [entry.record] : []));
  const newest = whole.at(-1);
  if (newest === undefined) return undefined;
  const { committed, tombstones } = await commitState(to, backupShelf(cluster, era.era), newest.id, {
    signal: run.signal,
  });
  if (committed || tombstones.length > 0) return undefined;
  const chain = chainOf(newest, whole);
  const start = chain
    .map(({ startLsn }) => startLsn as Lsn)
    .reduce((a, b) => (lsnPosition(b) < lsnPosition(a) ? b : a));
  const first = segmentNumberAt(start, era.segmentBytes);
  const isOlder = (segment: SegmentName): boolean => segmentNumber(segment, era.segmentBytes) < first;
  const isNeeded = (segment: SegmentName): boolean => !isOlder(segment);
  await copyArchive(copying, era, isNeeded);
  const newWal = every(walEverySeconds, () => copyArchive({ ...copying, again: true }, era, isNeeded));
  const ids = new Set(chain.map(({ id }) => id));
  await copyBackups(
    { ...copying, newWal },
    era,
    entries.filter(({ id }) => ids.has(id)),
  );
  return { isOlder, others: entries.filter(({ id }) => !ids.has(id)) };
}

/** The backup and all that it is an increment of. */
function chainOf(backup: BackupRecord, all: readonly BackupRecord[]): BackupRecord[] {
  const parent = all.find(({ id }) => id === backup.parent);
  return parent === undefined ? [backup] : [backup, ...chainOf(parent, all)];
}
