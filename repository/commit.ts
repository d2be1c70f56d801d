import { crossesAny } from '../core/hold.ts';
import type { StoreOptions } from '../storage/store.ts';
import { writeCommitFile } from './commit-file.ts';
import { commitState } from './commit-state.ts';
import { listCuts } from './cuts.ts';
import { canonicalBytes } from './document.ts';
import type { KeyRing } from './keys.ts';
import { cutKey } from './layout.ts';
import { type BackupRecord, backupRecord, neededWal } from './record.ts';
import type { Repository } from './repository.ts';
import { backupShelf } from './shelf.ts';
import { signRecord } from './sign.ts';

export { reapLeftovers } from './reap.ts';

const unsignedRecord = backupRecord.omit({ signature: true });

/**
 * Signs the record and writes the commit file: from then on the backup exists. Repeating it with the same record succeeds.
 * @throws {PgproofError} as `commitDocument`.
 */
export async function commitBackup(
  repository: Repository,
  keys: KeyRing,
  record: Omit<BackupRecord, 'signature'>,
  options: StoreOptions = {},
): Promise<BackupRecord> {
  const signed = signRecord(unsignedRecord.parse(record), keys);
  await commitDocument(repository, signed, canonicalBytes(signed), options);
  return signed;
}

/**
 * Writes the commit file of a backup as it is.
 * @param options.copiedFrom where else a tombstone counts: what was deleted there while it was copied is not brought back.
 * @throws {PgproofError} `backup-deleted` when a tombstone is there, or one of its parent, or a cut through its WAL: it was given up meanwhile;
 * `object-exists` when the id was committed with another record.
 */
export async function commitDocument(
  repository: Repository,
  record: BackupRecord,
  document: Uint8Array,
  options: StoreOptions & { copiedFrom?: Repository } = {},
): Promise<void> {
  const { cluster, era, id } = record;
  const beneath = () => goingBeneath(repository, record, options);
  await writeCommitFile(repository, backupShelf(cluster, era), id, document, { ...options, beneath });
}

/** Tombstones of what it is an increment of, and cuts through its WAL: whoever wrote them may have looked before it was committed. */
async function goingBeneath(repository: Repository, record: BackupRecord, options: StoreOptions): Promise<string[]> {
  const { cluster, era, parent } = record;
  const above =
    parent === null ? [] : (await commitState(repository, backupShelf(cluster, era), parent, options)).tombstones;
  const cuts = (await listCuts(repository, cluster, era, options)).filter(({ ranges }) =>
    crossesAny(neededWal(record), ranges),
  );
  return [...above, ...cuts.map(({ id }) => cutKey(cluster, era, id))];
}
