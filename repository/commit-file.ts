import { PgproofError } from '../core/errors.ts';
import { assertIdentical, createIdentical } from '../storage/create.ts';
import type { StoreOptions } from '../storage/store.ts';
import { commitState } from './commit-state.ts';
import type { Repository } from './repository.ts';
import { commitKeyOf, type Shelf } from './shelf.ts';

/*
 * Deleting and committing see each other, without clocks and without conditional puts (docs/decisions/020-two-flags.md):
 * each writes first and looks afterwards, so whatever the interleaving, at least one sees the other.
 *   commit: commit file, then look for a tombstone, the parent's too, and for cuts: none → done, one → failed
 *   delete: tombstone of its own, then look for a commit file: none → parts may go, one → its own tombstone goes
 */

/**
 * Writes a commit file as it is; repeating it with the same bytes succeeds.
 * @param options.copiedFrom where else a tombstone counts: what was deleted there while it was copied is not brought back.
 * @param options.beneath keys of what says that something is going that this one needs.
 * @throws {PgproofError} `backup-deleted` when it was given up meanwhile: a tombstone is there, or something beneath it goes;
 * `object-exists` when the id was committed with another record.
 */
export async function writeCommitFile(
  repository: Repository,
  shelf: Shelf,
  id: string,
  document: Uint8Array,
  {
    copiedFrom,
    beneath,
    ...options
  }: StoreOptions & { copiedFrom?: Repository; beneath?: () => Promise<readonly string[]> } = {},
): Promise<void> {
  const before = await commitState(repository, shelf, id, options);
  const key = commitKeyOf(shelf, id);
  // Not every store refuses to replace an object, so what is there is asked for its content instead.
  const { existed } = before.committed
    ? await isCommitted(repository, key, document, options)
    : await createIdentical(repository.store, key, document, options);
  const there = await commitState(repository, shelf, id, options);
  const source = copiedFrom === undefined ? undefined : await commitState(copiedFrom, shelf, id, options);
  const { committed } = there;
  const tombstones = [...there.tombstones, ...(source?.tombstones ?? []), ...((await beneath?.()) ?? [])];
  if (tombstones.length === 0 && committed) return;
  if (tombstones.length === 0) throw unlisted(key);
  // Taken back only by the call that wrote it: an earlier one may have told somebody that it is done.
  if (!existed) await repository.store.remove(key, options);
  throw givenUp(shelf, id, tombstones);
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

function givenUp({ what, cluster, era }: Shelf, id: string, tombstones: readonly string[]): PgproofError {
  return new PgproofError('backup-deleted', `${what} ${id} was given up while it was being finished`, {
    facts: { cluster, ...(era === null ? {} : { era }), [what]: id, tombstones },
    hint:
      what === 'backup'
        ? 'Another attempt took its place, or it was deleted, or its parent or its WAL was. Take a new backup.'
        : 'Another attempt took its place, or it was deleted. Take a new dump.',
  });
}
