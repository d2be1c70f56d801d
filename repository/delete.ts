import { randomBytes } from 'node:crypto';
import { hasCode } from '../core/errors.ts';
import type { Hold } from '../core/hold.ts';
import type { StoreOptions } from '../storage/store.ts';
import { commitStates } from './commit-state.ts';
import { canonicalBytes, nullIfMissing, readDocument } from './document.ts';
import { formatVersion } from './layout.ts';
import { childrenOf, Looks, type Needed } from './needed.ts';
import { type BackupRecord, neverCommitted, type TombstoneRecord, tombstoneRecord } from './record.ts';
import type { Repository } from './repository.ts';
import { commitKeyOf, isHeldBy, partsPrefixOf, type Shelf, tombstoneKeyOf } from './shelf.ts';

export { type Cut, cutWal } from './cut-wal.ts';

/*
 * Backups and dumps are deleted without clocks and without conditional puts (docs/decisions/140-holds.md): the tombstone is written
 * first, then commit files and holds are looked at. Whoever commits or holds writes first and looks for tombstones then, so
 * that at least one of the two sees the other. What is held or needed gets its tombstone withdrawn; everything else goes,
 * the commit file last of all, so that it says to its parent's deleter that there is a child until nothing of it is left.
 */

/** What became of the deletion of a backup or a dump. */
export type Buried =
  | { outcome: 'deleted'; objects: number; bytes: number }
  /** Somebody holds it; or another backup's commit file names it as its parent, or cannot be read. It stays as it was. */
  | { outcome: 'held'; holds: Hold[] }
  | { outcome: 'needed'; by: string[] }
  /** The store keeps some of it under a lock. It is out of the catalogue, and the next run goes on. */
  | { outcome: 'retained'; detail: string };

type DeleteOptions = StoreOptions & { now: Date; known?: readonly BackupRecord[] };

/**
 * Deletes what is committed on one shelf: tombstones first, then one look at commit files and holds, then parts, then commit
 * files; children before parents, in whatever order they are named. Tombstones stay. Ids that have a tombstone already
 * (`unfinishedDeletions`) are finished.
 * @param wanted `reason` stands in the tombstone.
 * @param options.now holds that ended before it do not count.
 * @param options.known records that were read already, and need not be read again.
 * @returns by id, in the order of deletion.
 * @throws {PgproofError} what the store says; `record-invalid` where holds cannot be read: then nothing was deleted.
 */
export async function bury(
  repository: Repository,
  shelf: Shelf,
  wanted: readonly { id: string; reason: string }[],
  options: DeleteOptions,
): Promise<Map<string, Buried>> {
  const looks = new Looks(repository, shelf, options);
  const deletion: Deletion = { repository, shelf, deleter: randomBytes(4).toString('hex'), options };
  const answers = new Map<string, Buried>();
  // A first look spares what stays a tombstone that would hide it for a moment; or for good, were we killed just then.
  const first = await looks.look();
  const free = decide(shelf, first, wanted, answers);
  for (const { id, reason } of free) await writeTombstone(deletion, id, reason);
  const second = free.length === 0 ? first : await looks.look();
  const going = decide(shelf, second, free, answers);
  for (const { id } of free) if (!going.some((one) => one.id === id)) await withdraw(deletion, id);
  for (const { id } of going) {
    const children = childrenOf(second, id).filter((child) => answers.get(child)?.outcome !== 'deleted');
    if (children.length > 0) await withdraw(deletion, id);
    answers.set(id, children.length > 0 ? { outcome: 'needed', by: children } : await deleteOne(deletion, second, id));
  }
  return answers;
}

/** Those that nobody holds and no other backup needs, children before parents; what stays is answered. */
function decide<Wanted extends { id: string }>(
  shelf: Shelf,
  needed: Needed,
  wanted: readonly Wanted[],
  answers: Map<string, Buried>,
): Wanted[] {
  const going = new Map(wanted.map((one) => [one.id, one]));
  for (const id of going.keys()) {
    const isHere = needed.states.get(id)?.committed === true;
    const holds = needed.holds.filter((hold) => isHeldBy(shelf, hold, id));
    if (!isHere) answers.set(id, { outcome: 'deleted', objects: 0, bytes: 0 });
    else if (holds.length > 0) answers.set(id, { outcome: 'held', holds });
    if (!isHere || holds.length > 0) going.delete(id);
  }
  const ordered: Wanted[] = [];
  for (let before = -1; before !== ordered.length; ) {
    before = ordered.length;
    for (const [id, one] of going) {
      if (!childrenOf(needed, id).every((child) => ordered.some((each) => each.id === child))) continue;
      ordered.push(one);
      going.delete(id);
    }
  }
  for (const id of going.keys()) answers.set(id, { outcome: 'needed', by: childrenOf(needed, id) });
  return ordered;
}

type Deletion = { repository: Repository; shelf: Shelf; deleter: string; options: StoreOptions };

async function writeTombstone(
  { repository, shelf, deleter, options }: Deletion,
  id: string,
  reason: string,
): Promise<void> {
  const tombstone: TombstoneRecord = { formatVersion, id, deletedAt: new Date().toISOString(), reason };
  await repository.store.create(tombstoneKeyOf(shelf, id, deleter), canonicalBytes(tombstone), options);
}

/** Only ever our own: whoever wrote another may be deleting by it. */
async function withdraw({ repository, shelf, deleter, options }: Deletion, id: string): Promise<void> {
  await repository.store.remove(tombstoneKeyOf(shelf, id, deleter), options);
}

async function deleteOne(deletion: Deletion, { states }: Needed, id: string): Promise<Buried> {
  const { repository, shelf, deleter, options } = deletion;
  const { store } = repository;
  let objects = 0;
  let bytes = 0;
  try {
    for await (const part of store.list(partsPrefixOf(shelf, id), options)) {
      await store.remove(part.key, options);
      objects += 1;
      bytes += part.bytes;
    }
    await store.remove(commitKeyOf(shelf, id), options);
    // Ours stays for ever. Those of deleters that were interrupted say the same, and would only become more.
    const others = states.get(id)?.tombstones ?? [];
    for (const key of others) if (key !== tombstoneKeyOf(shelf, id, deleter)) await store.remove(key, options);
    return { outcome: 'deleted', objects: objects + 1, bytes };
  } catch (error) {
    if (!hasCode(error, 'object-retained')) throw error;
    return { outcome: 'retained', detail: error.message };
  }
}

/** Ids whose deletion was begun and not finished: a tombstone and a commit file, which a catalogue does not show. */
export async function unfinishedDeletions(
  repository: Repository,
  shelf: Shelf,
  options: StoreOptions = {},
): Promise<{ id: string; reason: string }[]> {
  const unfinished: { id: string; reason: string }[] = [];
  for (const [id, { committed, tombstones }] of await commitStates(repository, shelf, options)) {
    if (!committed || tombstones.length === 0) continue;
    // Those that went since the listing were withdrawn, or their backup is gone.
    const read = (key: string) => readDocument(repository.store, key, tombstoneRecord, options).catch(nullIfMissing);
    const found = await Promise.all(tombstones.map(read));
    const begun = found.find((one) => one !== null && one.reason !== neverCommitted);
    if (begun != null) unfinished.push({ id, reason: begun.reason });
  }
  return unfinished;
}
