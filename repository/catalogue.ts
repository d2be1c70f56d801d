import { asPgproofError, hasCode, PgproofError } from '../core/errors.ts';
import { compareLsn, type Lsn } from '../core/lsn.ts';
import { readBytes } from '../storage/bytes.ts';
import type { StoreOptions } from '../storage/store.ts';
import { type CommitState, commitStates } from './commit-state.ts';
import { maxDocumentBytes, parseDocument, readDocument } from './document.ts';
import { listEras } from './eras.ts';
import type { KeyRing } from './keys.ts';
import { backupKey, basePrefix } from './layout.ts';
import { type BackupRecord, backupRecord, neverCommitted, tombstoneRecord } from './record.ts';
import type { Repository } from './repository.ts';
import { verifySignature } from './sign.ts';

/** A damaged entry is one whose commit file cannot be trusted: shown, never used, never passed over in silence. */
export type BackupEntry =
  | { id: string; era: string; state: 'whole'; record: BackupRecord }
  | { id: string; era: string; state: 'damaged'; error: PgproofError };

/**
 * The catalogue: commit files without a tombstone, ordered by era, timeline and stop LSN; damaged ones last.
 * @throws {PgproofError} what the store says; a listing that broke off is no catalogue.
 */
export async function listBackups(
  repository: Repository,
  keys: KeyRing,
  cluster: string,
  options: StoreOptions = {},
): Promise<BackupEntry[]> {
  const entries: BackupEntry[] = [];
  for (const { era } of await listEras(repository, cluster, options)) {
    for (const [id, state] of await commitStates(repository, cluster, era, options)) {
      if (!state.committed) continue;
      const place = { repository, keys, cluster, era, id };
      if (state.tombstones.length === 0) entries.push(await readEntry(place, options));
      else if (await wasNeverCommitted(place, state, options)) entries.push(caughtBetween(place, state));
    }
  }
  return entries.sort(byPlace);
}

type Place = { repository: Repository; keys: KeyRing; cluster: string; era: string; id: string };

/** Whether nobody deleted a backup there: whoever cleared away leftovers and the commit met. */
async function wasNeverCommitted(
  { repository }: Place,
  { tombstones }: CommitState,
  options: StoreOptions,
): Promise<boolean> {
  for (const key of tombstones) {
    const { reason } = await readDocument(repository.store, key, tombstoneRecord, options);
    if (reason !== neverCommitted) return false;
  }
  return true;
}

/** Usually gone in a moment; it stays when one of the two was killed just then, and may be whole: so it is not passed over. */
function caughtBetween({ cluster, era, id }: Place, { tombstones }: CommitState): BackupEntry {
  const error = new PgproofError(
    'backup-deleted',
    `backup ${id} was marked as a leftover while it was being committed`,
    {
      facts: { cluster, era, backup: id, tombstones },
      hint: 'Take a new backup. If you need this one: when no pgproof works on the cluster, remove these tombstones.',
    },
  );
  return { id, era, state: 'damaged', error };
}

/**
 * @param prefix an id, or a beginning that only one has.
 * @throws {PgproofError} `backup-missing`, `backup-ambiguous`, or what makes the record untrustworthy.
 */
export async function findBackup(
  repository: Repository,
  keys: KeyRing,
  cluster: string,
  prefix: string,
  options: StoreOptions = {},
): Promise<BackupRecord> {
  return chooseBackup(await listBackups(repository, keys, cluster, options), cluster, prefix);
}

/** The one that the prefix means. @throws {PgproofError} as `findBackup`. */
export function chooseBackup(entries: readonly BackupEntry[], cluster: string, prefix: string): BackupRecord {
  const fitting = entries.filter(({ id }) => id.startsWith(prefix));
  const [entry] = fitting;
  if (entry === undefined || prefix === '') {
    throw new PgproofError('backup-missing', `cluster '${cluster}' has no backup '${prefix}'`, {
      facts: { cluster, backup: prefix, known: entries.slice(-5).map(({ id }) => id) },
      hint: `See: pgproof list ${cluster}`,
    });
  }
  if (fitting.length > 1 && !fitting.some(({ id }) => id === prefix)) {
    throw new PgproofError('backup-ambiguous', `'${prefix}' begins ${fitting.length} backups of '${cluster}'`, {
      facts: { cluster, backup: prefix, fitting: fitting.map(({ id }) => id) },
      hint: 'Give more of the id.',
    });
  }
  const chosen = fitting.find(({ id }) => id === prefix) ?? entry;
  if (chosen.state === 'damaged') throw chosen.error;
  return chosen.record;
}

/** @throws {PgproofError} `object-missing`, `record-invalid`, `repository-format`, `signature-invalid`, `key-missing`. */
export async function readRecord(
  repository: Repository,
  keys: KeyRing,
  cluster: string,
  era: string,
  id: string,
  options: StoreOptions = {},
): Promise<BackupRecord> {
  const key = backupKey(cluster, era, id);
  const bytes = await readBytes(repository.store, key, { ...options, maxBytes: maxDocumentBytes });
  const record = parseDocument(key, bytes, backupRecord);
  verifySignature(JSON.parse(bytes.toString('utf8')) as Record<string, unknown>, record, keys);
  // A true record under another name would be another backup.
  const named = record.id === id && record.era === era && record.cluster === cluster;
  const own = basePrefix(cluster, era, id);
  const stored = [...record.tablespaces.flatMap(({ parts }) => parts), record.manifest];
  if (named && stored.every((part) => part.key.startsWith(own))) return record;
  throw new PgproofError('record-invalid', `'${key}' is the record of ${record.cluster}/${record.era}/${record.id}`, {
    facts: { key },
  });
}

export async function readEntry(
  { repository, keys, cluster, era, id }: Place,
  options: StoreOptions,
): Promise<BackupEntry> {
  try {
    return { id, era, state: 'whole', record: await readRecord(repository, keys, cluster, era, id, options) };
  } catch (error) {
    const known = asPgproofError(error);
    // What waiting may mend says nothing about the backup.
    if (!known.permanent || hasCode(known, 'internal', 'cancelled', 'store-denied')) throw known;
    return { id, era, state: 'damaged', error: known };
  }
}

/** By era, timeline and stop LSN; damaged ones last. */
export function byPlace(a: BackupEntry, b: BackupEntry): number {
  if (a.era !== b.era) return a.era < b.era ? -1 : 1;
  if (a.state === 'damaged' || b.state === 'damaged')
    return Number(a.state === 'damaged') - Number(b.state === 'damaged');
  // A newer timeline counts its WAL from where it left the older one.
  if (a.record.timeline !== b.record.timeline) return a.record.timeline - b.record.timeline;
  return compareLsn(a.record.stopLsn as Lsn, b.record.stopLsn as Lsn) || (a.id < b.id ? -1 : 1);
}
