import { PgproofError } from '../core/errors.ts';
import type { Hold, WalRange } from '../core/hold.ts';
import type { StoreOptions } from '../storage/store.ts';
import type { EraRecord } from './record.ts';
import type { Repository } from './repository.ts';

/** What became of the deletion of a backup. */
export type Buried =
  | { outcome: 'deleted'; objects: number; bytes: number }
  /** Somebody holds it; or another backup's commit file names it as its parent, or cannot be read. It stays as it was. */
  | { outcome: 'held'; holds: Hold[] }
  | { outcome: 'needed'; by: string[] }
  /** The store keeps some of it under a lock. It is out of the catalogue, and the next run goes on. */
  | { outcome: 'retained'; objects: number; detail: string };

/**
 * Deletes committed backups of one era: tombstones first, then one look at commit files and holds, then parts, then commit
 * files; children before parents, in whatever order they are named. Tombstones stay. Ids that have a tombstone already
 * (`unfinishedDeletions`) are finished.
 * @param wanted `reason` stands in the tombstone.
 * @param options.now holds that ended before it do not count.
 * @returns by id, in the order of deletion.
 * @throws {PgproofError} what the store says; `record-invalid` where holds cannot be read: then nothing was deleted.
 */
export async function buryBackups(
  _repository: Repository,
  _cluster: string,
  _era: string,
  _wanted: readonly { id: string; reason: string }[],
  _options: StoreOptions & { now: Date },
): Promise<Map<string, Buried>> {
  throw new PgproofError('internal', 'not built yet');
}

/** Backups whose deletion was begun and not finished: a tombstone and a commit file, which `listBackups` does not show. */
export async function unfinishedDeletions(
  _repository: Repository,
  _cluster: string,
  _era: string,
  _options: StoreOptions = {},
): Promise<{ id: string; reason: string }[]> {
  throw new PgproofError('internal', 'not built yet');
}

/** What became of a cut. */
export type Cut =
  | {
      outcome: 'cut';
      segments: number;
      bytes: number /** Kept by the store under a lock; the next run goes on. */;
      retained: number;
    }
  /** Nothing was removed. */
  | { outcome: 'held'; holds: Hold[] }
  | { outcome: 'needed'; by: string[] };

/**
 * Removes the segments that lie wholly in the ranges: the cut is written first, then holds and commit files are read, then
 * segments go. A commit file keeps its WAL from start to stop LSN, whether the backup has a tombstone or not: bury first.
 * Beyond that the caller answers for the ranges. Cuts that this one includes are removed.
 * @throws {PgproofError} as `buryBackups`; also where a commit file cannot be read.
 */
export async function cutWal(
  _repository: Repository,
  _cluster: string,
  _era: Pick<EraRecord, 'era' | 'segmentBytes'>,
  _ranges: readonly WalRange[],
  _options: StoreOptions & { reason: string; now: Date },
): Promise<Cut> {
  throw new PgproofError('internal', 'not built yet');
}
