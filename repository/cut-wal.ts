import { randomBytes } from 'node:crypto';
import { hasCode } from '../core/errors.ts';
import { crossesAny, type Hold, holdsWal, liesIn, type WalRange } from '../core/hold.ts';
import { runId } from '../core/ids.ts';
import { hex8 } from '../core/segment.ts';
import type { StoredObject, StoreOptions } from '../storage/store.ts';
import { listCuts, rangeOf } from './cuts.ts';
import { canonicalBytes } from './document.ts';
import { cutKey, formatVersion, parseWalKey, walPrefix } from './layout.ts';
import { Looks, type Needed } from './needed.ts';
import { type BackupRecord, type CutRecord, type EraRecord, neededWal } from './record.ts';
import type { Repository } from './repository.ts';
import { backupShelf } from './shelf.ts';

/** What became of a cut. */
export type Cut =
  /** `retained`: so many segments the store keeps under a lock; the next run goes on. */
  | { outcome: 'cut'; segments: number; bytes: number; retained: number }
  /** Nothing was removed. `by`: ids of backups whose WAL it is, or whose commit file cannot be read. */
  | { outcome: 'held'; holds: Hold[] }
  | { outcome: 'needed'; by: string[] };

type CutOptions = StoreOptions & { reason: string; now: Date; known?: readonly BackupRecord[] };
type Era = Pick<EraRecord, 'era' | 'segmentBytes'>;

/** Removals under way at once: a year of WAL is a million objects. */
const width = 8;

/**
 * Removes the segments that lie wholly in the ranges: the cut is written first, then holds and commit files are read, then
 * segments go. A commit file keeps its WAL from start to stop LSN, whether the backup has a tombstone or not: bury first.
 * Beyond that the caller answers for the ranges. Cuts that this one includes are removed.
 * @param options.known records that were read already, and need not be read again.
 * @throws {PgproofError} what the store says; `record-invalid` where holds cannot be read: then nothing was removed.
 */
export async function cutWal(
  repository: Repository,
  cluster: string,
  era: Era,
  ranges: readonly WalRange[],
  options: CutOptions,
): Promise<Cut> {
  const doomed = await segmentsIn(repository, cluster, era, ranges, options);
  if (doomed.length === 0) return { outcome: 'cut', segments: 0, bytes: 0, retained: 0 };
  const looks = new Looks(repository, backupShelf(cluster, era.era), options);
  const before = blocked(await looks.look(), era, ranges);
  if (before !== null) return before;
  const key = await writeCut(repository, cluster, era, ranges, options);
  const after = blocked(await looks.look(), era, ranges);
  if (after !== null) {
    await repository.store.remove(key, options);
    return after;
  }
  const removed = await removeAll(repository, doomed, options);
  await removeIncluded(repository, cluster, era, { key, ranges }, options);
  return { outcome: 'cut', ...removed };
}

async function segmentsIn(
  { store }: Repository,
  cluster: string,
  { era, segmentBytes }: Era,
  ranges: readonly WalRange[],
  options: StoreOptions,
): Promise<StoredObject[]> {
  const objects: StoredObject[] = [];
  for (const timeline of new Set(ranges.map((range) => range.timeline))) {
    for await (const object of store.list(`${walPrefix(cluster, era)}${hex8(timeline)}/`, options)) {
      const found = parseWalKey(object.key);
      if (found !== undefined && liesIn(rangeOf(found.segment, segmentBytes), ranges)) objects.push(object);
    }
  }
  return objects;
}

function blocked({ holds, records }: Needed, { era }: Era, ranges: readonly WalRange[]): Cut | null {
  const holding = holds.filter((hold) => holdsWal(hold, era, ranges));
  if (holding.length > 0) return { outcome: 'held', holds: holding };
  const by = [...records].flatMap(([id, record]) =>
    record === null || crossesAny(neededWal(record), ranges) ? [id] : [],
  );
  return by.length > 0 ? { outcome: 'needed', by } : null;
}

async function writeCut(
  { store }: Repository,
  cluster: string,
  { era }: Era,
  ranges: readonly WalRange[],
  { reason, now: _, known: __, ...options }: CutOptions,
): Promise<string> {
  const now = new Date();
  const id = runId(now, 'cut', randomBytes(4).toString('hex'));
  const cut: CutRecord = { formatVersion, id, cutAt: now.toISOString(), reason, ranges: [...ranges] };
  await store.create(cutKey(cluster, era, id), canonicalBytes(cut), options);
  return cutKey(cluster, era, id);
}

async function removeAll(
  { store }: Repository,
  doomed: readonly StoredObject[],
  options: StoreOptions,
): Promise<{ segments: number; bytes: number; retained: number }> {
  const told = { segments: 0, bytes: 0, retained: 0 };
  for (let next = 0; next < doomed.length; next += width) {
    const outcomes = await Promise.allSettled(
      doomed.slice(next, next + width).map(async ({ key, bytes }) => {
        const isGone = await removeUnlessRetained(store, key, options);
        told.segments += Number(isGone);
        told.retained += Number(!isGone);
        told.bytes += isGone ? bytes : 0;
      }),
    );
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }
  return told;
}

async function removeUnlessRetained(store: Repository['store'], key: string, options: StoreOptions): Promise<boolean> {
  try {
    await store.remove(key, options);
    return true;
  } catch (error) {
    if (hasCode(error, 'object-retained')) return false;
    throw error;
  }
}

/**
 * Ours was looked at and stays, so nobody needs those that it includes: not even their writers, should they still be at work.
 */
async function removeIncluded(
  repository: Repository,
  cluster: string,
  { era }: Era,
  ours: { key: string; ranges: readonly WalRange[] },
  options: StoreOptions,
): Promise<void> {
  for (const { id, ranges } of await listCuts(repository, cluster, era, options)) {
    const key = cutKey(cluster, era, id);
    if (key === ours.key || !ranges.every((range) => liesIn(range, ours.ranges))) continue;
    await removeUnlessRetained(repository.store, key, options);
  }
}
