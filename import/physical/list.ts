import { asPgproofError, type PgproofError } from '../../core/errors.ts';
import type { Lsn } from '../../core/lsn.ts';
import type { SegmentName, TimelineId } from '../../core/segment.ts';
import type { Opening } from '../peel.ts';
import { readBegin } from './begin.ts';
import { findBases, findWal } from './layout.ts';

export type ListedBase = {
  name: string;
  folder: string;
  storedBytes: number;
  /** `base`, `pg_wal` and OIDs of tablespaces, as far as they are there. */
  archives: string[];
  hasManifest: boolean;
  /** What its backup_label says; null where that cannot be read, and then `error` says why. */
  startLsn: Lsn | null;
  timeline: TimelineId | null;
  startedAt: string | null;
  error: PgproofError | null;
};

export type ListedWal = {
  /** Names that are there, in whatever form. */
  segments: number;
  first: SegmentName | null;
  last: SegmentName | null;
  histories: TimelineId[];
  /** Names of files that are no WAL. */
  others: readonly string[];
};

/** What lies in an old script's folder. Of each base its beginning is read, of WAL only names. */
export async function listBases(
  dir: string,
  opening: Opening,
  signal: AbortSignal,
): Promise<{ bases: ListedBase[]; wal: ListedWal }> {
  const bases: ListedBase[] = [];
  for (const base of await findBases(dir)) {
    const { name, folder, storedBytes, manifest } = base;
    const begin = await readBegin(base, opening, signal).catch((error: unknown) => {
      if (signal.aborted) throw error;
      return asPgproofError(error);
    });
    const isRead = 'startLsn' in begin;
    bases.push({
      name,
      folder,
      storedBytes,
      archives: [...base.archives.keys()].sort(),
      hasManifest: manifest !== null,
      startLsn: isRead ? begin.startLsn : null,
      timeline: isRead ? begin.timeline : null,
      startedAt: isRead ? begin.startedAt : null,
      error: isRead ? null : begin,
    });
  }
  const { segments, histories, others } = await findWal(dir);
  const names = [...segments.keys()].sort();
  const wal = { segments: names.length, first: names[0] ?? null, last: names.at(-1) ?? null };
  return { bases, wal: { ...wal, histories: [...histories.keys()].sort((a, b) => a - b), others } };
}
