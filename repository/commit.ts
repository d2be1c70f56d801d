import { PgproofError } from '../core/errors.ts';
import { crossesAny } from '../core/hold.ts';
import { assertIdentical, createIdentical } from '../storage/create.ts';
import type { StoreOptions } from '../storage/store.ts';
import { commitState } from './commit-state.ts';
import { listCuts } from './cuts.ts';
import { canonicalBytes } from './document.ts';
import type { KeyRing } from './keys.ts';
import { backupKey, cutKey } from './layout.ts';
import { type BackupRecord, backupRecord, neededWal } from './record.ts';
import type { Repository } from './repository.ts';
import { signRecord } from './sign.ts';

export { reapLeftovers } from './reap.ts';

/*
 * Deleting and committing see each other, without clocks and without conditional puts (docs/decisions/020-two-flags.md):
 * each writes first and looks afterwards, so whatever the interleaving, at least one sees the other.
 *   commit: commit file, then look for a tombstone, the parent's too, and for cuts: none → done, one → failed
 *   delete: tombstone of its own, then look for a commit file: none → parts may go, one → its own tombstone goes
 */

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
 * Writes a commit file as it is.
 * @param options.copiedFrom where else a tombstone counts: what was deleted there while it was copied is not brought back.
 * @throws {PgproofError} `backup-deleted` when a tombstone is there, or one of its parent, or a cut through its WAL: it was given up meanwhile;
 * `object-exists` when the id was committed with another record.
 */
export async function commitDocument(
  repository: Repository,
  record: BackupRecord,
  document: Uint8Array,
  { copiedFrom, ...options }: StoreOptions & { copiedFrom?: Repository } = {},
): Promise<void> {
  const { cluster, era, id } = record;
  const before = await commitState(repository, cluster, era, id, options);
  const key = backupKey(cluster, era, id);
  // Not every store refuses to replace an object, so what is there is asked for its content instead.
  const { existed } = before.committed
    ? await isCommitted(repository, key, document, options)
    : await createIdentical(repository.store, key, document, options);
  const there = await commitState(repository, cluster, era, id, options);
  const source = copiedFrom === undefined ? undefined : await commitState(copiedFrom, cluster, era, id, options);
  const { committed } = there;
  const tombstones = [
    ...there.tombstones,
    ...(source?.tombstones ?? []),
    ...(await goingBeneath(repository, record, options)),
  ];
  if (tombstones.length === 0 && committed) return;
  if (tombstones.length === 0) throw unlisted(key);
  // Taken back only by the call that wrote it: an earlier one may have told somebody that the backup is done.
  if (!existed) await repository.store.remove(key, options);
  throw new PgproofError('backup-deleted', `backup ${id} was given up while it was being finished`, {
    facts: { cluster, era, backup: id, tombstones },
    hint: 'Another attempt took its place, or it was deleted, or its parent or its WAL was. Take a new backup.',
  });
}

/** Tombstones of what it is an increment of, and cuts through its WAL: whoever wrote them may have looked before it was committed. */
async function goingBeneath(repository: Repository, record: BackupRecord, options: StoreOptions): Promise<string[]> {
  const { cluster, era, parent } = record;
  const above = parent === null ? [] : (await commitState(repository, cluster, era, parent, options)).tombstones;
  const cuts = (await listCuts(repository, cluster, era, options)).filter(({ ranges }) =>
    crossesAny(neededWal(record), ranges),
  );
  return [...above, ...cuts.map(({ id }) => cutKey(cluster, era, id))];
}

async function isCommitted(
  { store }: Repository,
  key: string,
  bytes: Uint8Array,
  options: StoreOptions,
): Promise<{ existed: true }> {
  await assertIdentical(store, key, bytes, options);
  return { existed: true };
}

/** A listing without the commit file may lack a tombstone just as well, so that nothing can be concluded from it. */
function unlisted(key: string): PgproofError {
  return new PgproofError('store-unreachable', `the store does not list '${key}', which it took a moment ago`, {
    facts: { key },
    hint: 'The store forgets objects, or lists them late. Try again; if it stays, use another store.',
  });
}
