import type { StoreOptions } from '../storage/store.ts';
import { readRecord } from './catalogue.ts';
import { commitStates } from './commit-state.ts';
import { readEntry } from './entries.ts';
import type { KeyRing } from './keys.ts';
import type { BackupRecord } from './record.ts';
import type { Repository } from './repository.ts';
import { backupShelf } from './shelf.ts';

/**
 * The newest whole backup of an era that fits, by the time in its id: one listing, and mostly one record, however long the
 * catalogue. A damaged one is passed over.
 */
export async function newestBackup(
  repository: Repository,
  keys: KeyRing,
  cluster: string,
  era: string,
  fits: (record: BackupRecord) => boolean,
  options: StoreOptions = {},
): Promise<BackupRecord | null> {
  const states = await commitStates(repository, backupShelf(cluster, era), options);
  const listed = [...states].flatMap(([id, { committed, tombstones }]) =>
    committed && tombstones.length === 0 ? [id] : [],
  );
  for (const id of listed.sort().reverse()) {
    const entry = await readEntry(id, () => readRecord(repository, keys, cluster, era, id, options));
    if (entry.state === 'whole' && fits(entry.record)) return entry.record;
  }
  return null;
}
