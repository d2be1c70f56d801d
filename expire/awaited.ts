import { throwIfAborted } from '../core/abort.ts';
import { asPgproofError } from '../core/errors.ts';
import { crossesAny } from '../core/hold.ts';
import type { Lsn } from '../core/lsn.ts';
import type { EraFacts, RepositoryFacts } from '../core/retention/facts.ts';
import { lineageOf } from '../core/retention/lineage.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { listBackups } from '../repository/catalogue.ts';
import { commitStates } from '../repository/commit-state.ts';
import { listCuts } from '../repository/cuts.ts';
import { type BackupRecord, neededWal } from '../repository/record.ts';
import { backupShelf } from '../repository/shelf.ts';

/** What the cluster's other repositories have; and which of them could not be asked, as sentences. */
export type Others = { records: readonly BackupRecord[]; notes: readonly string[] };

/** One catalogue listing each. One that is away, maybe for good, stops no expire. */
export async function readOthers(
  { repository, repositories, unavailable, keys, name }: ProtectedCluster,
  signal: AbortSignal,
): Promise<Others> {
  const records: BackupRecord[] = [];
  const notes = unavailable.map((away) => unasked(repository.name, away.name, away.error));
  for (const other of repositories.filter(({ id }) => id !== repository.id)) {
    try {
      for (const entry of await listBackups(other, keys, name, { signal }))
        if (entry.state === 'whole') records.push(entry.record);
    } catch (error) {
      throwIfAborted(signal);
      notes.push(unasked(repository.name, other.name, error));
    }
  }
  return { records, notes };
}

const unasked = (here: string, other: string, error: unknown): string =>
  `Repository ${other} was not asked (${asPgproofError(error).message}): WAL of a backup that ${here} missed, and only ${other} has, is not kept for it.`;

/**
 * Backups that a copy may still bring: other repositories have them, and this one neither has nor deleted them. A repository that was
 * away when a backup was made lacks it, while its WAL came later from the spool.
 */
export async function awaitedFacts(
  { repository, name }: ProtectedCluster,
  eras: readonly EraFacts[],
  { records }: Others,
  signal: AbortSignal,
): Promise<RepositoryFacts['awaited']> {
  if (records.length === 0) return [];
  const awaited: RepositoryFacts['awaited'][number][] = [];
  for (const era of eras) {
    const here = await commitStates(repository, backupShelf(name, era.era), { signal });
    const cuts = await listCuts(repository, name, era.era, { signal });
    // No WAL is cut on a timeline that this repository does not know.
    const { paths } = lineageOf(era);
    for (const record of records) {
      if (record.era !== era.era || here.has(record.id) || !paths.has(record.timeline)) continue;
      if (cuts.some(({ ranges }) => crossesAny(neededWal(record), ranges))) continue;
      const { id, timeline, parent } = record;
      const place = { timeline, startLsn: record.startLsn as Lsn, stopLsn: record.stopLsn as Lsn, parent };
      awaited.push({ ...place, id, era: era.era });
    }
  }
  return awaited;
}
