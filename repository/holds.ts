import { randomBytes } from 'node:crypto';
import { type Facts, hasCode, PgproofError } from '../core/errors.ts';
import { crossesAny, type EraNeeds, type Hold, isInForce } from '../core/hold.ts';
import { type RunId, runId } from '../core/ids.ts';
import { createIdentical } from '../storage/create.ts';
import type { StoreOptions } from '../storage/store.ts';
import { commitStates } from './commit-state.ts';
import { listCuts } from './cuts.ts';
import { canonicalBytes, readDocument } from './document.ts';
import { formatVersion, holdKey, holdPrefix, narrowedHoldKey, releasedHoldKey } from './layout.ts';
import { holdRecord, narrowedHoldRecord } from './record.ts';
import type { Repository } from './repository.ts';
import { backupShelf, dumpShelf, type Shelf } from './shelf.ts';

/*
 * What somebody needs kept. A hold is written first; what is listed behind it, without a tombstone and in no cut, stays
 * until the hold ends: whoever deletes writes tombstone or cut first, and reads the holds behind it (delete.ts).
 * Only creates: a host that may remove nothing can hold and release.
 *   <id>.json            what is needed; null: everything, while it is not yet known what
 *   <id>.narrowed.json   what of that is needed from now on, and until when
 *   <id>.released.json   nothing any more
 */

export type HoldOrder = Pick<Hold, 'cluster' | 'operation' | 'by' | 'reason'> & { seconds: number; id?: string };

/** What is needed, once that is known. @param dumps ids; absent: none. */
export type Needs = { needs: readonly EraNeeds[]; dumps?: readonly string[] | undefined };

/** For who holds one thing in several repositories, under one id. */
export const newHoldId = (operation: Hold['operation']): RunId =>
  runId(new Date(), operation, randomBytes(4).toString('hex'));

/**
 * Holds everything of the cluster, while it is looked for what is needed; `narrowHold` follows. All that is listed behind
 * this is held.
 */
export async function holdEverything(
  repository: Repository,
  order: HoldOrder,
  options: StoreOptions = {},
): Promise<Hold> {
  return writeHold(repository, order, { needs: null }, options);
}

/**
 * Holds what was listed before.
 * @throws {PgproofError} `backup-deleted`, and nothing is held, where some of it is being deleted already, or is gone; the
 * facts `backups` and `dumps` name them.
 */
export async function placeHold(
  repository: Repository,
  order: HoldOrder & Needs,
  options: StoreOptions = {},
): Promise<Hold> {
  const hold = await writeHold(repository, order, { needs: order.needs, dumps: order.dumps }, options);
  const going = await goingAlready(repository, order, options);
  if (going === null) return hold;
  await releaseHold(repository, hold, options);
  throw going;
}

async function writeHold(
  { store }: Repository,
  { cluster, operation, by, reason, seconds, id = newHoldId(operation) }: HoldOrder,
  needs: Pick<Hold, 'needs' | 'dumps'>,
  options: StoreOptions,
): Promise<Hold> {
  const now = new Date();
  const until = new Date(now.getTime() + seconds * 1000).toISOString();
  const hold: Hold = { id, cluster, operation, by, reason, heldAt: now.toISOString(), until, ...needs };
  await createIdentical(store, holdKey(cluster, id), canonicalBytes({ formatVersion, ...hold }), options);
  return hold;
}

async function goingAlready(
  repository: Repository,
  { cluster, needs, dumps = [] }: HoldOrder & Needs,
  options: StoreOptions,
): Promise<PgproofError | null> {
  const goingDumps = await goingOf(repository, dumpShelf(cluster), dumps, options);
  if (goingDumps.length > 0)
    return beingDeleted(repository, `dump ${goingDumps.join(', ')}`, { cluster, dumps: goingDumps });
  for (const { era, backups, wal } of needs) {
    const going = await goingOf(repository, backupShelf(cluster, era), backups, options);
    const cuts = wal.length === 0 ? [] : await listCuts(repository, cluster, era, options);
    const isCut = cuts.some(({ ranges }) => wal.some((range) => crossesAny(range, ranges)));
    if (going.length === 0 && !isCut) continue;
    const what = going.length === 0 ? 'WAL that is needed' : `backup ${going.join(', ')}`;
    return beingDeleted(repository, what, { cluster, era, backups: going });
  }
  return null;
}

async function goingOf(
  repository: Repository,
  shelf: Shelf,
  ids: readonly string[],
  options: StoreOptions,
): Promise<string[]> {
  const states = ids.length === 0 ? new Map() : await commitStates(repository, shelf, options);
  return ids.filter((id) => !states.get(id)?.committed || states.get(id)?.tombstones.length !== 0);
}

function beingDeleted({ name }: Repository, what: string, facts: Facts & { cluster: string }): PgproofError {
  return new PgproofError('backup-deleted', `${what} is being deleted in repository '${name}'`, {
    facts: { ...facts, repository: name },
    hint: `See what is there: pgproof list ${facts.cluster}`,
  });
}

/**
 * From now on only this is held, and until then.
 * @throws {PgproofError} `timeout` when the hold has ended by itself: what was looked at meanwhile may be gone.
 */
export async function narrowHold(
  { store }: Repository,
  hold: Hold,
  { needs, dumps, seconds }: Needs & { seconds: number },
  options: StoreOptions = {},
): Promise<Hold> {
  const until = new Date(Date.now() + seconds * 1000).toISOString();
  const { id, cluster } = hold;
  const document = { formatVersion, id, until, needs, dumps };
  await createIdentical(store, narrowedHoldKey(cluster, id), canonicalBytes(document), options);
  if (Date.now() < Date.parse(hold.until)) return { ...hold, until, needs, dumps };
  throw new PgproofError('timeout', `hold ${id} ended before it was known what of it is needed`, {
    facts: { cluster, hold: id, until: hold.until },
    hint: 'Try again: what was looked at since may have been deleted.',
  });
}

/**
 * The same for longer, as another hold, for a hold can only become narrower. The old one goes once the new one is there.
 * @throws {PgproofError} `backup-deleted` when it had ended, and some of what it held is going already.
 */
export async function renewHold(
  repository: Repository,
  hold: Hold & Needs,
  seconds: number,
  options: StoreOptions = {},
): Promise<Hold & Needs> {
  const { cluster, operation, by, reason, needs, dumps } = hold;
  const renewed = await placeHold(repository, { cluster, operation, by, reason, seconds, needs, dumps }, options);
  await releaseHold(repository, hold, options).catch(() => undefined); // it ends by itself, and before this one
  return { ...renewed, needs };
}

/** Releases what one host holds for one reason. For who knows that whoever placed it is dead. @param except what is held for it now. */
export async function releaseAllFor(
  repository: Repository,
  { cluster, operation, by, reason }: Pick<Hold, 'cluster' | 'operation' | 'by' | 'reason'>,
  { except, ...options }: StoreOptions & { except: readonly string[] },
): Promise<void> {
  for (const hold of await listHolds(repository, cluster, options)) {
    const isSame = hold.operation === operation && hold.by === by && hold.reason === reason;
    if (isSame && !except.includes(hold.id)) await releaseHold(repository, hold, options);
  }
}

/** Repeating it succeeds. */
export async function releaseHold(
  { store }: Repository,
  { id, cluster, by }: Pick<Hold, 'id' | 'cluster' | 'by'>,
  options: StoreOptions = {},
): Promise<void> {
  const released = { formatVersion, id, releasedAt: new Date().toISOString(), by };
  try {
    await store.create(releasedHoldKey(cluster, id), canonicalBytes(released), options);
  } catch (error) {
    if (!hasCode(error, 'object-exists')) throw error;
  }
}

/**
 * Those that were not released, oldest first; `isInForce` says which of them still count.
 * @throws {PgproofError} what the store says; `record-invalid` for one that cannot be read: then nothing may be deleted.
 */
export async function listHolds(repository: Repository, cluster: string, options: StoreOptions = {}): Promise<Hold[]> {
  const { holds, narrowed, released } = await listHoldFiles(repository, cluster, options);
  const open = [...holds].filter((id) => !released.has(id));
  return Promise.all(open.map((id) => readHold(repository, cluster, id, narrowed.has(id), options)));
}

async function readHold(
  { store }: Repository,
  cluster: string,
  id: string,
  isNarrowed: boolean,
  options: StoreOptions,
): Promise<Hold> {
  try {
    const { formatVersion: _, ...hold } = await readDocument(store, holdKey(cluster, id), holdRecord, options);
    if (!isNarrowed) return hold;
    const { needs, dumps, until } = await readDocument(
      store,
      narrowedHoldKey(cluster, id),
      narrowedHoldRecord,
      options,
    );
    return { ...hold, needs, dumps, until };
  } catch (error) {
    if (!hasCode(error, 'object-missing')) throw error;
    // Another `expire` has removed it, most likely. Nobody who deletes goes by what is likely.
    throw new PgproofError('store-unreachable', `hold ${id} is listed, and cannot be read`, { facts: { hold: id } });
  }
}

/**
 * Removes the documents of holds that were released, or have ended by themselves. For `expire`.
 * @returns ids of those that are gone.
 */
export async function removeEndedHolds(
  repository: Repository,
  cluster: string,
  now: Date,
  options: StoreOptions = {},
): Promise<string[]> {
  const { store } = repository;
  const over = (await listHoldFiles(repository, cluster, options)).released;
  for (const hold of await listHolds(repository, cluster, options)) if (!isInForce(hold, now)) over.add(hold.id);
  for (const id of over) {
    // Killed in between, this leaves more held than before, or what the next run knows to be over.
    await store.remove(narrowedHoldKey(cluster, id), options);
    await store.remove(holdKey(cluster, id), options);
    await store.remove(releasedHoldKey(cluster, id), options);
  }
  return [...over];
}

type HoldFiles = { holds: Set<string>; narrowed: Set<string>; released: Set<string> };

async function listHoldFiles({ store }: Repository, cluster: string, options: StoreOptions): Promise<HoldFiles> {
  const prefix = holdPrefix(cluster);
  const files: HoldFiles = { holds: new Set(), narrowed: new Set(), released: new Set() };
  for await (const { key } of store.list(prefix, options)) {
    const match = /^([^./]+)(?:\.(narrowed|released))?\.json$/.exec(key.slice(prefix.length));
    if (match === null) throw unknownFile(key);
    const kind = match[2] as 'narrowed' | 'released' | undefined;
    files[kind ?? 'holds'].add(match[1] as string);
  }
  return files;
}

function unknownFile(key: string): PgproofError {
  return new PgproofError('record-invalid', `'${key}' is not a hold of this version`, {
    facts: { key },
    hint: 'A newer pgproof may have written it: upgrade this one. Nothing is deleted while it is there.',
  });
}
