import { asPgproofError, type PgproofError } from '../core/errors.ts';
import type { Hold } from '../core/hold.ts';
import type { Lsn } from '../core/lsn.ts';
import type { BackupFacts, DamagedFacts, EraFacts, RepositoryFacts } from '../core/retention/facts.ts';
import { runsOf } from '../core/retention/runs.ts';
import type { TimelineId } from '../core/segment.ts';
import type { HistoryEntry } from '../core/timeline.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type BackupEntry, listBackups } from '../repository/catalogue.ts';
import { unfinishedDeletions } from '../repository/delete.ts';
import { listEras } from '../repository/eras.ts';
import { listHolds } from '../repository/holds.ts';
import type { BackupRecord, EraRecord } from '../repository/record.ts';
import { backupShelf } from '../repository/shelf.ts';
import { listHistoryTags, listWal, readHistory } from '../repository/wal.ts';
import { awaitedFacts, type Others } from './awaited.ts';
import { placeDamaged } from './damaged.ts';
import type { Proofs } from './proofs.ts';

/** What the cluster's `repository` tells, and the records that were read for it. */
export type Gathered = { facts: RepositoryFacts; records: BackupRecord[]; eras: EraRecord[] };

/** What was read before. */
export type Known = { proofs: Proofs; held: readonly Hold[]; others: Others };

/**
 * Reads all that retention is planned from.
 * @param known what was read before: proofs, holds of before them, and what other repositories have. A drill that ends while an expire runs is held throughout, and its
 * report counts in the next one.
 * @throws {PgproofError} what the store says; what cannot be read of holds: then nothing is deleted.
 */
export async function gatherFacts(
  cluster: ProtectedCluster,
  { proofs, held, others }: Known,
  signal: AbortSignal,
): Promise<Gathered> {
  const { repository, keys, name } = cluster;
  const eras = await listEras(repository, name, { signal });
  const eraFacts: EraFacts[] = [];
  for (const era of eras) eraFacts.push(await factsOfEra(cluster, era, signal));
  // The catalogue behind the WAL: what is committed meanwhile has its WAL, and is counted.
  const entries = await listBackups(repository, keys, name, { signal });
  const records = entries.flatMap((entry) => (entry.state === 'whole' ? [entry.record] : []));
  const holds = await listHolds(repository, name, { signal });
  const facts = {
    eras: eraFacts.map((era) => withUnreadable(era, entries)),
    backups: records.map(backupFacts),
    damaged: await damagedFacts(cluster, entries, signal),
    leaving: await leavingFacts(cluster, eras, signal),
    awaited: await awaitedFacts(cluster, eraFacts, others, signal),
    proofs: proofs.backups,
    holds: [...holds, ...held.filter(({ id }) => !holds.some((hold) => hold.id === id))],
  };
  return { facts, records, eras };
}

async function factsOfEra(
  { repository, walKeys, name }: ProtectedCluster,
  { era, segmentBytes, timeline }: EraRecord,
  signal: AbortSignal,
): Promise<EraFacts> {
  const histories = new Map<TimelineId, readonly HistoryEntry[]>();
  let doubt: string | null = null;
  for (const [of, tags] of await listHistoryTags(repository, name, era, { signal })) {
    const [tag, ...others] = tags as [string, ...string[]];
    if (others.length > 0) {
      doubt = `timeline ${of} has two different history files`;
      continue;
    }
    try {
      histories.set(of, (await readHistory(repository, walKeys, name, era, of, tag, { signal })).entries);
    } catch (error) {
      doubt = ofItself(error).message;
    }
  }
  const listing = await listWal(repository, name, era, { signal });
  return { era, segmentBytes, timeline, histories, doubt, wal: runsOf(listing.keys(), segmentBytes) };
}

/** A record that another key or a newer version reads may be whole, and need anything. */
function withUnreadable(era: EraFacts, entries: readonly BackupEntry[]): EraFacts {
  for (const entry of entries) {
    if (entry.era !== era.era || entry.state === 'whole') continue;
    if (['key-missing', 'key-wrong', 'repository-format'].includes(entry.error.code))
      return { ...era, doubt: `backup ${entry.id} cannot be read here: ${entry.error.message}` };
  }
  return era;
}

function backupFacts(record: BackupRecord): BackupFacts {
  const { id, era, type, parent, timeline, startLsn, stopLsn, stoppedAt } = record;
  const parts = [...record.tablespaces.flatMap((tablespace) => tablespace.parts), record.manifest];
  const storedBytes = parts.reduce((sum, part) => sum + part.storedBytes, 0);
  const place = { timeline, startLsn: startLsn as Lsn, stopLsn: stopLsn as Lsn };
  return { id, era, type, parent, ...place, stoppedAt, storedBytes };
}

async function damagedFacts(
  cluster: ProtectedCluster,
  entries: readonly BackupEntry[],
  signal: AbortSignal,
): Promise<DamagedFacts[]> {
  const damaged: DamagedFacts[] = [];
  for (const entry of entries)
    if (entry.state === 'damaged')
      damaged.push({
        id: entry.id,
        era: entry.era,
        why: entry.error.message,
        place: await placeDamaged(cluster, entry, signal),
      });
  return damaged;
}

async function leavingFacts(
  cluster: ProtectedCluster,
  eras: readonly EraRecord[],
  signal: AbortSignal,
): Promise<RepositoryFacts['leaving']> {
  const leaving: RepositoryFacts['leaving'][number][] = [];
  for (const { era } of eras) {
    for (const { id } of await unfinishedDeletions(cluster.repository, backupShelf(cluster.name, era), { signal })) {
      const place = await placeDamaged(cluster, { era, id }, signal);
      if (place !== null) leaving.push({ ...place, id, era });
    }
  }
  return leaving;
}

/** What waiting may mend says nothing about the archive. */
function ofItself(error: unknown): PgproofError {
  const known = asPgproofError(error);
  if (!known.permanent || known.code === 'internal' || known.code === 'cancelled') throw known;
  return known;
}
