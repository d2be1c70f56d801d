import { crossesAny } from '../core/hold.ts';
import type { BackupEntry } from '../repository/catalogue.ts';
import { listCuts } from '../repository/cuts.ts';
import { type BackupRecord, type CutRecord, type EraRecord, neededWal } from '../repository/record.ts';
import { backupShelf } from '../repository/shelf.ts';
import { copyBackup } from './backup.ts';
import type { Copying } from './copying.ts';
import { copyOne, lackingOn } from './lacking.ts';

/**
 * Copies an era's backups that the target lacks, or holds in part. The newest first, because it is the one that a disaster asks
 * for, and each behind its parent.
 * @param entries of the source's catalogue as it was before its WAL was listed: so the WAL that they need is among what was copied.
 */
export async function copyBackups(copying: Copying, era: EraRecord, entries: readonly BackupEntry[]): Promise<void> {
  const { to, cluster, run } = copying;
  const shelf = backupShelf(cluster, era.era);
  const ours = entries.filter((entry) => entry.era === era.era);
  const cuts = await listCuts(to, cluster, era.era, { signal: run.signal });
  const { wanted, exists } = await lackingOn(copying, shelf, ours, (record) =>
    isWithoutWal(record, cuts) ? walExpired(record.id, to.name) : null,
  );
  for (const record of parentsFirst([...wanted.values()].reverse(), wanted))
    await copyOne(copying, shelf, record.id, () => copyBackup(copying, era, record, exists(record.id)));
}

/** Its WAL went there before it came: as old as that, the target keeps nothing. */
export function isWithoutWal(record: BackupRecord, cuts: readonly CutRecord[]): boolean {
  return cuts.some(({ ranges }) => crossesAny(neededWal(record), ranges));
}

const walExpired = (id: string, repository: string): string =>
  `The WAL of backup ${id} was deleted in ${repository}, so that the backup is not copied there.`;

function parentsFirst(records: readonly BackupRecord[], all: ReadonlyMap<string, BackupRecord>): Set<BackupRecord> {
  const ordered = new Set<BackupRecord>();
  const add = (record: BackupRecord): void => {
    const parent = record.parent === null ? undefined : all.get(record.parent);
    if (parent !== undefined && !ordered.has(parent)) add(parent);
    ordered.add(record);
  };
  for (const record of records) add(record);
  return ordered;
}
