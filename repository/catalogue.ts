import { asPgproofError, hasCode, PgproofError } from '../core/errors.ts';
import { crossesAny } from '../core/hold.ts';
import { compareLsn, type Lsn } from '../core/lsn.ts';
import { readBytes } from '../storage/bytes.ts';
import type { StoreOptions } from '../storage/store.ts';
import { type CommitState, commitState, commitStates } from './commit-state.ts';
import { listCuts } from './cuts.ts';
import { maxDocumentBytes, nullIfMissing, parseDocument, readDocument } from './document.ts';
import { listEras } from './eras.ts';
import type { KeyRing } from './keys.ts';
import { backupKey, basePrefix } from './layout.ts';
import {
  type BackupRecord,
  backupRecord,
  type CutRecord,
  neededWal,
  neverCommitted,
  tombstoneRecord,
} from './record.ts';
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
    const ofEra: BackupEntry[] = [];
    for (const [id, state] of await commitStates(repository, cluster, era, options)) {
      const entry = await entryOf({ repository, keys, cluster, era, id }, state, options);
      if (entry !== null) ofEra.push(entry);
    }
    const cuts = ofEra.length === 0 ? [] : await listCuts(repository, cluster, era, options);
    entries.push(...withoutGround(ofEra, cuts));
  }
  return entries.sort(byPlace);
}

/** Null: it does not exist, or not any more. */
async function entryOf(place: Place, state: CommitState, options: StoreOptions): Promise<BackupEntry | null> {
  if (!state.committed) return null;
  const reasons = await reasonsOf(place, state, options);
  // Those that went since the listing were withdrawn.
  if (reasons.length === 0) {
    const entry = await readEntry(place, options);
    return isMissing(entry) && (await isGone(place, options)) ? null : entry;
  }
  return reasons.every((reason) => reason === neverCommitted) ? caughtBetween(place, state) : null;
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

type Place = { repository: Repository; keys: KeyRing; cluster: string; era: string; id: string };

/** Why its tombstones were written: by whoever deleted it, or whoever cleared away leftovers and met the commit. */
async function reasonsOf({ repository }: Place, { tombstones }: CommitState, options: StoreOptions): Promise<string[]> {
  const reasons: string[] = [];
  for (const key of tombstones) {
    const tombstone = await readDocument(repository.store, key, tombstoneRecord, options).catch(nullIfMissing);
    if (tombstone !== null) reasons.push(tombstone.reason);
  }
  return reasons;
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

const isMissing = (entry: BackupEntry): boolean => entry.state === 'damaged' && hasCode(entry.error, 'object-missing');

/** Deleted since it was listed; otherwise the store has lost it. */
async function isGone({ repository, cluster, era, id }: Place, options: StoreOptions): Promise<boolean> {
  const { committed, tombstones } = await commitState(repository, cluster, era, id, options);
  return !committed || tombstones.length > 0;
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
