import { PgproofError } from '../core/errors.ts';
import { crossesAny } from '../core/hold.ts';
import { compareLsn, type Lsn } from '../core/lsn.ts';
import { readBytes } from '../storage/bytes.ts';
import type { StoreOptions } from '../storage/store.ts';
import { listCuts } from './cuts.ts';
import { maxDocumentBytes, parseDocument } from './document.ts';
import { chooseEntry, type Entry, listEntries } from './entries.ts';
import { listEras } from './eras.ts';
import type { KeyRing } from './keys.ts';
import { backupKey, basePrefix } from './layout.ts';
import { type BackupRecord, backupRecord, type CutRecord, neededWal } from './record.ts';
import type { Repository } from './repository.ts';
import { backupShelf } from './shelf.ts';
import { verifySignature } from './sign.ts';

export type BackupEntry = Entry<BackupRecord> & { era: string };

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
    const read = (id: string) => readRecord(repository, keys, cluster, era, id, options);
    const listed = await listEntries(repository, backupShelf(cluster, era), read, options);
    const ofEra = listed.map((entry): BackupEntry => ({ ...entry, era }));
    const cuts = ofEra.length === 0 ? [] : await listCuts(repository, cluster, era, options);
    entries.push(...withoutGround(ofEra, cuts));
  }
  return entries.sort(byPlace);
}

/**
 * Those whose parent or WAL was deleted are damaged: whoever committed them was killed before it looked, and would have taken
 * them back.
 */
function withoutGround(entries: readonly BackupEntry[], cuts: readonly CutRecord[]): BackupEntry[] {
  const whole = new Set(entries.flatMap(({ id, state }) => (state === 'whole' ? [id] : [])));
  const told: BackupEntry[] = [];
  // Parents have older ids than their increments.
  for (const entry of entries.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
    const lost = entry.state === 'whole' ? lostBeneath(entry.record, whole, cuts) : null;
    if (lost !== null) whole.delete(entry.id);
    told.push(lost === null ? entry : { ...entry, state: 'damaged', error: lost });
  }
  return told;
}

function lostBeneath(
  record: BackupRecord,
  whole: ReadonlySet<string>,
  cuts: readonly CutRecord[],
): PgproofError | null {
  const { cluster, era, id, parent } = record;
  const cut = cuts.find(({ ranges }) => crossesAny(neededWal(record), ranges));
  const isOrphan = parent !== null && !whole.has(parent);
  if (!isOrphan && cut === undefined) return null;
  const what = isOrphan ? `its parent ${parent} is not there, or damaged` : 'WAL that it needs was deleted';
  return new PgproofError('backup-deleted', `backup ${id} cannot be restored: ${what}`, {
    facts: { cluster, era, backup: id, parent, cut: cut?.id ?? null },
    hint: 'Take a new backup.',
  });
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
export const chooseBackup = (entries: readonly BackupEntry[], cluster: string, prefix: string): BackupRecord =>
  chooseEntry(entries, { what: 'backup', cluster }, prefix);

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

/** By era, timeline and stop LSN; damaged ones last. */
export function byPlace(a: BackupEntry, b: BackupEntry): number {
  if (a.era !== b.era) return a.era < b.era ? -1 : 1;
  if (a.state === 'damaged' || b.state === 'damaged')
    return Number(a.state === 'damaged') - Number(b.state === 'damaged');
  // A newer timeline counts its WAL from where it left the older one.
  if (a.record.timeline !== b.record.timeline) return a.record.timeline - b.record.timeline;
  return compareLsn(a.record.stopLsn as Lsn, b.record.stopLsn as Lsn) || (a.id < b.id ? -1 : 1);
}
