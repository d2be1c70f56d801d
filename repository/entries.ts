import { asPgproofError, hasCode, PgproofError } from '../core/errors.ts';
import { inParallel } from '../core/parallel.ts';
import type { StoreOptions } from '../storage/store.ts';
import { type CommitState, commitState, commitStates } from './commit-state.ts';
import { nullIfMissing, readDocument } from './document.ts';
import { neverCommitted, tombstoneRecord } from './record.ts';
import type { Repository } from './repository.ts';
import type { Shelf } from './shelf.ts';

/** A damaged entry is one whose commit file cannot be trusted: shown, never used, never passed over in silence. */
export type Entry<Committed> =
  | { id: string; state: 'whole'; record: Committed }
  | { id: string; state: 'damaged'; error: PgproofError };

/** @throws {PgproofError} `object-missing`, `record-invalid`, `repository-format`, `signature-invalid`, `key-missing`. */
type Read<Committed> = (id: string) => Promise<Committed>;

/** Records read at once. */
const width = 8;

/**
 * What a shelf holds: commit files without a tombstone, by id.
 * @throws {PgproofError} what the store says; a listing that broke off is no catalogue.
 */
export async function listEntries<Committed>(
  repository: Repository,
  shelf: Shelf,
  read: Read<Committed>,
  options: StoreOptions = {},
): Promise<Entry<Committed>[]> {
  const entries: Entry<Committed>[] = [];
  const states = await commitStates(repository, shelf, options);
  await inParallel(states, { width, signal: options.signal }, async ([id, state]) => {
    const entry = await entryOf(repository, shelf, id, state, read, options);
    if (entry !== null) entries.push(entry);
  });
  return entries.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Null: it does not exist, or not any more. */
async function entryOf<Committed>(
  repository: Repository,
  shelf: Shelf,
  id: string,
  state: CommitState,
  read: Read<Committed>,
  options: StoreOptions,
): Promise<Entry<Committed> | null> {
  if (!state.committed) return null;
  const reasons = await reasonsOf(repository, state, options);
  // Those that went since the listing were withdrawn.
  if (reasons.length === 0) {
    const entry = await readEntry(id, read);
    return isMissing(entry) && (await isGone(repository, shelf, id, options)) ? null : entry;
  }
  return reasons.every((reason) => reason === neverCommitted) ? caughtBetween(shelf, id, state) : null;
}

/** @throws {PgproofError} what waiting may mend: it says nothing about the record. */
export async function readEntry<Committed>(id: string, read: Read<Committed>): Promise<Entry<Committed>> {
  try {
    return { id, state: 'whole', record: await read(id) };
  } catch (error) {
    const known = asPgproofError(error);
    if (!known.permanent || hasCode(known, 'internal', 'cancelled', 'store-denied')) throw known;
    return { id, state: 'damaged', error: known };
  }
}

/** Why its tombstones were written: by whoever deleted it, or whoever cleared away leftovers and met the commit. */
async function reasonsOf({ store }: Repository, { tombstones }: CommitState, options: StoreOptions): Promise<string[]> {
  const reasons: string[] = [];
  for (const key of tombstones) {
    const tombstone = await readDocument(store, key, tombstoneRecord, options).catch(nullIfMissing);
    if (tombstone !== null) reasons.push(tombstone.reason);
  }
  return reasons;
}

/** Usually gone in a moment; it stays when one of the two was killed just then, and may be whole: so it is not passed over. */
function caughtBetween({ what, cluster, era }: Shelf, id: string, { tombstones }: CommitState): Entry<never> {
  const error = new PgproofError(
    'backup-deleted',
    `${what} ${id} was marked as a leftover while it was being committed`,
    {
      facts: { cluster, ...(era === null ? {} : { era }), [what]: id, tombstones },
      hint: `Take a new ${what}. If you need this one: when no pgproof works on the cluster, remove these tombstones.`,
    },
  );
  return { id, state: 'damaged', error };
}

const isMissing = (entry: Entry<unknown>): boolean =>
  entry.state === 'damaged' && hasCode(entry.error, 'object-missing');

/** Deleted since it was listed; otherwise the store has lost it. */
async function isGone(repository: Repository, shelf: Shelf, id: string, options: StoreOptions): Promise<boolean> {
  const { committed, tombstones } = await commitState(repository, shelf, id, options);
  return !committed || tombstones.length > 0;
}

/** The one that the prefix means. @throws {PgproofError} `backup-missing`, `backup-ambiguous`, or why it is damaged. */
export function chooseEntry<Committed>(
  entries: readonly Entry<Committed>[],
  { what, cluster }: { what: Shelf['what'] | 'backup or dump'; cluster: string },
  prefix: string,
): Committed {
  const asked = { cluster, [what === 'dump' ? 'dump' : 'backup']: prefix };
  const fitting = entries.filter(({ id }) => id.startsWith(prefix));
  const [entry] = fitting;
  if (entry === undefined || prefix === '') {
    throw new PgproofError('backup-missing', `cluster '${cluster}' has no ${what} '${prefix}'`, {
      facts: { ...asked, known: entries.slice(-5).map(({ id }) => id) },
      hint: `See: pgproof list ${cluster}`,
    });
  }
  if (fitting.length > 1 && !fitting.some(({ id }) => id === prefix)) {
    throw new PgproofError(
      'backup-ambiguous',
      `'${prefix}' begins ${fitting.length} ${what.replace('backup ', 'backups ')}s of '${cluster}'`,
      {
        facts: { ...asked, fitting: fitting.map(({ id }) => id) },
        hint: 'Give more of the id.',
      },
    );
  }
  const chosen = fitting.find(({ id }) => id === prefix) ?? entry;
  if (chosen.state === 'damaged') throw chosen.error;
  return chosen.record;
}
