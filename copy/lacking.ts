import { PgproofError } from '../core/errors.ts';
import { type CommitState, commitState, commitStates } from '../repository/commit-state.ts';
import { readDocument } from '../repository/document.ts';
import type { Entry } from '../repository/entries.ts';
import { neverCommitted, tombstoneRecord } from '../repository/record.ts';
import { commitKeyOf, partsPrefixOf, type Shelf } from '../repository/shelf.ts';
import { compare } from './compare.ts';
import type { Copying } from './copying.ts';

/** What the target lacks of one shelf. */
export type Lacking<Committed> = {
  /** In the order of the entries. */
  wanted: Map<string, Committed>;
  /** Whether it is committed there already, and lacks parts. */
  exists(id: string): boolean;
};

/**
 * What of a shelf the target lacks, or holds in part. What was deleted there stays deleted.
 * @param entries of the source's catalogue.
 * @param whyNot a sentence, for one that is not to be copied all the same.
 */
export async function lackingOn<Committed>(
  copying: Copying,
  shelf: Shelf,
  entries: readonly Entry<Committed>[],
  whyNot: (record: Committed) => string | null = () => null,
): Promise<Lacking<Committed>> {
  const { to, run, tally } = copying;
  const states = await commitStates(to, shelf, { signal: run.signal });
  const unlike = await idsUnlike(copying, shelf, new Set(entries.map(({ id }) => id)));
  const wanted = new Map<string, Committed>();
  for (const entry of entries) {
    const { id } = entry;
    const state = states.get(id) ?? { committed: false, tombstones: [] };
    if (state.committed && state.tombstones.length === 0 && !unlike.has(id)) continue;
    const why = entry.state === 'whole' && state.tombstones.length === 0 ? whyNot(entry.record) : null;
    if (entry.state === 'damaged') tally.refuse(commitKeyOf(shelf, id), entry.error);
    else if (state.tombstones.length > 0) await leaveDeleted(copying, shelf, id, state);
    else if (why !== null) tally.notes.push(why);
    else wanted.set(id, entry.record);
  }
  return { wanted, exists: (id) => states.get(id)?.committed === true };
}

/** Does it for one; what is wrong with it holds up no other. */
export async function copyOne(copying: Copying, shelf: Shelf, id: string, work: () => Promise<void>): Promise<void> {
  const { run, tally } = copying;
  tally.begin(`${shelf.what} ${id}`);
  const key = commitKeyOf(shelf, id);
  await tally.orRefuse(key, run.signal, work);
  if (tally.isRefused(key)) await forgiveDeleted(copying, shelf, id);
}

/** What was deleted at the source meanwhile could not be copied whole, and nothing is wrong with that. */
async function forgiveDeleted({ from, run, tally }: Copying, shelf: Shelf, id: string): Promise<void> {
  const { committed, tombstones } = await commitState(from, shelf, id, { signal: run.signal });
  if (committed && tombstones.length === 0) return;
  tally.withdraw(commitKeyOf(shelf, id));
  tally.withdraw(partsPrefixOf(shelf, id));
  tally.notes.push(
    `${named(shelf)} ${id} was deleted in ${from.name} while it was copied, and does not exist in the copy.`,
  );
}

/** Those of which the target lacks an object, or has one of another size. */
async function idsUnlike(copying: Copying, { partsPrefix }: Shelf, ids: ReadonlySet<string>): Promise<Set<string>> {
  const unlike = new Set<string>();
  for await (const { key, bytes, there } of compare(copying, partsPrefix)) {
    const [id, ...inside] = key.slice(partsPrefix.length).split('/') as [string, ...string[]];
    if (inside.length === 0) continue;
    if (bytes !== there) unlike.add(id);
    else if (ids.has(id)) copying.tally.isThere(bytes);
  }
  return unlike;
}

/** The target's retention may be a shorter one. */
async function leaveDeleted(
  { to, run, tally }: Copying,
  shelf: Shelf,
  id: string,
  { tombstones }: CommitState,
): Promise<void> {
  const { signal } = run;
  const reasons = await Promise.all(
    tombstones.map(async (key) => (await readDocument(to.store, key, tombstoneRecord, { signal })).reason),
  );
  if (reasons.some((reason) => reason !== neverCommitted)) {
    tally.notes.push(`${named(shelf)} ${id} was deleted in ${to.name} and is not copied there again.`);
    return;
  }
  const { what, cluster, era } = shelf;
  const message = `the parts of ${id} were taken for leftovers in repository '${to.name}' before the ${what} was whole there`;
  const error = new PgproofError('backup-deleted', message, {
    facts: { cluster, ...(era === null ? {} : { era }), [what]: id, tombstones },
    hint: `Newer ${what}s are copied. To have this one there, too: when no pgproof works on '${to.name}', remove these tombstones and copy again.`,
  });
  tally.refuse(commitKeyOf(shelf, id), error);
}

/** As a sentence begins with it. */
const named = ({ what }: Shelf): string => (what === 'backup' ? 'Backup' : 'Dump');
