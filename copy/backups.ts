import { PgproofError } from '../core/errors.ts';
import { crossesAny } from '../core/hold.ts';
import type { BackupEntry } from '../repository/catalogue.ts';
import { type CommitState, commitState, commitStates } from '../repository/commit-state.ts';
import { listCuts } from '../repository/cuts.ts';
import { readDocument } from '../repository/document.ts';
import { backupKey, basePrefix, eraBasePrefix } from '../repository/layout.ts';
import {
  type BackupRecord,
  type CutRecord,
  type EraRecord,
  neededWal,
  neverCommitted,
  tombstoneRecord,
} from '../repository/record.ts';
import { backupShelf } from '../repository/shelf.ts';
import { copyBackup } from './backup.ts';
import { compare } from './compare.ts';
import type { Copying } from './copying.ts';

/**
 * Copies an era's backups that the target lacks, or holds in part. The newest first, because it is the one that a disaster asks
 * for, and each behind its parent.
 * @param entries of the source's catalogue as it was before its WAL was listed: so the WAL that they need is among what was copied.
 */
export async function copyBackups(copying: Copying, era: EraRecord, entries: readonly BackupEntry[]): Promise<void> {
  const { to, cluster, run, tally } = copying;
  const { signal } = run;
  const states = await commitStates(to, backupShelf(cluster, era.era), { signal });
  const ours = entries.filter((entry) => entry.era === era.era);
  const unlike = await idsUnlike(copying, era, new Set(ours.map(({ id }) => id)));
  const cuts = await listCuts(to, cluster, era.era, { signal });
  const wanted = new Map<string, BackupRecord>();
  for (const entry of ours) {
    const { id } = entry;
    const state = states.get(id) ?? { committed: false, tombstones: [] };
    if (state.committed && state.tombstones.length === 0 && !unlike.has(id)) continue;
    if (entry.state === 'damaged') tally.refuse(backupKey(cluster, era.era, id), entry.error);
    else if (state.tombstones.length > 0) await leaveDeleted(copying, era, id, state);
    else if (isWithoutWal(entry.record, cuts)) tally.notes.push(walExpired(id, to.name));
    else wanted.set(id, entry.record);
  }
  for (const record of parentsFirst([...wanted.values()].reverse(), wanted)) {
    tally.begin(`backup ${record.id}`);
    const key = backupKey(cluster, era.era, record.id);
    await tally.orRefuse(key, signal, () =>
      copyBackup(copying, era, record, states.get(record.id)?.committed === true),
    );
    if (tally.isRefused(key)) await forgiveDeleted(copying, record);
  }
}

/** Its WAL went there before it came: as old as that, the target keeps nothing. */
export function isWithoutWal(record: BackupRecord, cuts: readonly CutRecord[]): boolean {
  return cuts.some(({ ranges }) => crossesAny(neededWal(record), ranges));
}

const walExpired = (id: string, repository: string): string =>
  `The WAL of backup ${id} was deleted in ${repository}, so that the backup is not copied there.`;

/** A backup that was deleted at the source meanwhile could not be copied whole, and nothing is wrong with that. */
async function forgiveDeleted({ from, cluster, run, tally }: Copying, { era, id }: BackupRecord): Promise<void> {
  const { committed, tombstones } = await commitState(from, backupShelf(cluster, era), id, { signal: run.signal });
  if (committed && tombstones.length === 0) return;
  tally.withdraw(backupKey(cluster, era, id));
  tally.withdraw(basePrefix(cluster, era, id));
  tally.notes.push(`Backup ${id} was deleted in ${from.name} while it was copied, and does not exist in the copy.`);
}

/** Those of the backups of which the target lacks an object, or has one of another size. */
async function idsUnlike(copying: Copying, { era }: EraRecord, ids: ReadonlySet<string>): Promise<Set<string>> {
  const { cluster, tally } = copying;
  const prefix = eraBasePrefix(cluster, era);
  const unlike = new Set<string>();
  for await (const { key, bytes, there } of compare(copying, prefix)) {
    const id = key.slice(prefix.length).split('/')[0] as string;
    if (bytes !== there) unlike.add(id);
    else if (ids.has(id)) tally.isThere(bytes);
  }
  return unlike;
}

/** What was deleted at the target stays deleted: its retention may be a shorter one. */
async function leaveDeleted(
  { to, cluster, run, tally }: Copying,
  { era }: EraRecord,
  id: string,
  { tombstones }: CommitState,
): Promise<void> {
  const { signal } = run;
  const reasons = await Promise.all(
    tombstones.map(async (key) => (await readDocument(to.store, key, tombstoneRecord, { signal })).reason),
  );
  if (reasons.some((reason) => reason !== neverCommitted)) {
    tally.notes.push(`Backup ${id} was deleted in ${to.name} and is not copied there again.`);
    return;
  }
  const message = `the parts of ${id} were taken for leftovers in repository '${to.name}' before the backup was whole there`;
  const error = new PgproofError('backup-deleted', message, {
    facts: { cluster, era, backup: id, tombstones },
    hint: `Newer backups are copied. To have this one there, too: when no pgproof works on '${to.name}', remove these tombstones and copy again.`,
  });
  tally.refuse(backupKey(cluster, era, id), error);
}

function parentsFirst(records: readonly BackupRecord[], all: ReadonlyMap<string, BackupRecord>): Set<BackupRecord> {
  const ordered = new Set<BackupRecord>();
  const add = (record: BackupRecord): void => {
    const parent = record.parent === null ? undefined : all.get(record.parent);
    if (parent !== undefined && !ordered.has(parent)) add(parent);
    ordered.add(record);
  };
  for (const record of records) add(record);
  return ordered;
}
