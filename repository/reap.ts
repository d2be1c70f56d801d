import { randomBytes } from 'node:crypto';
import { throwIfAborted } from '../core/abort.ts';
import { hasCode } from '../core/errors.ts';
import { isRunId } from '../core/ids.ts';
import type { StoreOptions } from '../storage/store.ts';
import { commitState, commitStates } from './commit-state.ts';
import { canonicalBytes } from './document.ts';
import { formatVersion } from './layout.ts';
import { neverCommitted, type TombstoneRecord } from './record.ts';
import type { Repository } from './repository.ts';
import { commitKeyOf, partsPrefixOf, type Shelf, tombstoneKeyOf } from './shelf.ts';

/**
 * Removes what attempts without a commit file have left, and finishes deletions that were interrupted. Call it under the
 * cluster's lock, with the ids that are at work.
 * @param options.except ids to leave alone: this attempt, and copies that wait for their WAL.
 * @param options.elsewhere the cluster's other repositories: what exists there is about to be copied here, or was interrupted in it.
 * @param options.isOneAway whether another one could not be opened: it may have anything.
 * @param options.own the id of an attempt that failed: nobody else can have it, so nobody is asked.
 * @param options.mayReap which ids are this caller's to judge at all.
 * @returns the ids whose parts are gone.
 */
export async function reapLeftovers(
  repository: Repository,
  shelf: Shelf,
  {
    except,
    elsewhere = [],
    isOneAway = false,
    own,
    mayReap = () => true,
    ...options
  }: StoreOptions & {
    except: readonly string[];
    elsewhere?: readonly Repository[];
    isOneAway?: boolean;
    own?: string;
    mayReap?: (id: string) => boolean;
  },
): Promise<string[]> {
  const states = await commitStates(repository, shelf, options);
  const withParts = await idsWithParts(repository, shelf, options);
  const reaped: string[] = [];
  for (const id of withParts) {
    if (except.includes(id) || states.get(id)?.committed || !mayReap(id)) continue;
    if (id !== own && (isOneAway || (await mayExistElsewhere(elsewhere, shelf, id, options)))) continue;
    if (!(await giveUp(repository, shelf, id, options))) continue;
    await removeParts(repository, shelf, id, options);
    reaped.push(id);
  }
  await removeDeadCommits(repository, shelf, options);
  return reaped;
}

/** A repository that cannot be asked may have it: then its parts stay until the next time. */
async function mayExistElsewhere(
  elsewhere: readonly Repository[],
  shelf: Shelf,
  id: string,
  options: StoreOptions,
): Promise<boolean> {
  for (const repository of elsewhere) {
    try {
      const { committed, tombstones } = await commitState(repository, shelf, id, options);
      if (committed && tombstones.length === 0) return true;
    } catch {
      throwIfAborted(options.signal);
      return true;
    }
  }
  return false;
}

/**
 * Writes a tombstone of our own, then looks for the commit file: one that is there now wins, and the tombstone goes. Another's
 * tombstone says nothing to us: its writer may be about to withdraw it. Ours stays for ever once a part may be gone.
 */
async function giveUp(repository: Repository, shelf: Shelf, id: string, options: StoreOptions): Promise<boolean> {
  const key = tombstoneKeyOf(shelf, id, randomBytes(4).toString('hex'));
  const tombstone: TombstoneRecord = { formatVersion, id, deletedAt: new Date().toISOString(), reason: neverCommitted };
  await repository.store.create(key, canonicalBytes(tombstone), options);
  const listed = await commitState(repository, shelf, id, options);
  // Also asked for by its name: a listing may leave out what is there (a folder that became a link, a store that lists late).
  const committed = listed.committed || (await isThere(repository, commitKeyOf(shelf, id), options));
  if (committed) await repository.store.remove(key, options);
  return !committed;
}

async function isThere({ store }: Repository, key: string, options: StoreOptions): Promise<boolean> {
  try {
    (await store.read(key, options)).destroy();
    return true;
  } catch (error) {
    if (hasCode(error, 'object-missing')) return false;
    throw error;
  }
}

async function removeParts({ store }: Repository, shelf: Shelf, id: string, options: StoreOptions): Promise<void> {
  for await (const { key } of store.list(partsPrefixOf(shelf, id), options)) await store.remove(key, options);
}

/** A commit that failed on a tombstone and was killed before it took its commit file back: its parts are all gone by now. */
async function removeDeadCommits(repository: Repository, shelf: Shelf, options: StoreOptions): Promise<void> {
  const states = await commitStates(repository, shelf, options);
  const withParts = await idsWithParts(repository, shelf, options);
  for (const [id, { committed, tombstones }] of states) {
    if (!committed || tombstones.length === 0 || withParts.has(id)) continue;
    await repository.store.remove(commitKeyOf(shelf, id), options);
  }
}

async function idsWithParts(
  { store }: Repository,
  { partsPrefix: prefix }: Shelf,
  options: StoreOptions,
): Promise<Set<string>> {
  const ids = new Set<string>();
  for await (const { key } of store.list(prefix, options)) {
    const [id, ...inside] = key.slice(prefix.length).split('/') as [string, ...string[]];
    if (isRunId(id) && inside.length > 0) ids.add(id);
  }
  return ids;
}
