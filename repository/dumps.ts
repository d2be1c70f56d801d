import { PgproofError } from '../core/errors.ts';
import { readBytes } from '../storage/bytes.ts';
import type { StoreOptions } from '../storage/store.ts';
import { writeCommitFile } from './commit-file.ts';
import { canonicalBytes, maxDocumentBytes, parseDocument } from './document.ts';
import { chooseEntry, type Entry, listEntries } from './entries.ts';
import type { KeyRing } from './keys.ts';
import { dumpKey, dumpPartPrefix } from './layout.ts';
import { type DumpRecord, dumpRecord, type StoredPart } from './record.ts';
import type { Repository } from './repository.ts';
import { dumpShelf } from './shelf.ts';
import { signRecord, verifySignature } from './sign.ts';

/*
 * Dumps lie on one shelf a cluster (`dumpShelf`), all eras' together. What is true of backups and dumps alike is done by shelf:
 * `bury` and `unfinishedDeletions` of delete.ts, `reapLeftovers` of reap.ts, `commitStates`.
 */

export type DumpEntry = Entry<DumpRecord>;

/**
 * Those without a tombstone, oldest first; damaged ones last.
 * @throws {PgproofError} what the store says; a listing that broke off is no catalogue.
 */
export async function listDumps(
  repository: Repository,
  keys: KeyRing,
  cluster: string,
  options: StoreOptions = {},
): Promise<DumpEntry[]> {
  const read = (id: string) => readDumpRecord(repository, keys, cluster, id, options);
  return (await listEntries(repository, dumpShelf(cluster), read, options)).sort(byAge);
}

/** Oldest first, by when it was taken; damaged ones last. */
export function byAge(a: DumpEntry, b: DumpEntry): number {
  if (a.state === 'damaged' || b.state === 'damaged')
    return Number(a.state === 'damaged') - Number(b.state === 'damaged') || (a.id < b.id ? -1 : 1);
  const [atA, atB] = [a, b].map(({ record }) => Date.parse(record.startedAt)) as [number, number];
  return atA - atB || (a.id < b.id ? -1 : 1);
}

/**
 * The one that the prefix means.
 * @param prefix an id, or a beginning that only one has.
 * @throws {PgproofError} `backup-missing`, `backup-ambiguous`, or what makes the record untrustworthy.
 */
export const chooseDump = (entries: readonly DumpEntry[], cluster: string, prefix: string): DumpRecord =>
  chooseEntry(entries, { what: 'dump', cluster }, prefix);

/** @throws {PgproofError} `object-missing`, `record-invalid`, `repository-format`, `signature-invalid`, `key-missing`. */
export async function readDumpRecord(
  repository: Repository,
  keys: KeyRing,
  cluster: string,
  id: string,
  options: StoreOptions = {},
): Promise<DumpRecord> {
  const key = dumpKey(cluster, id);
  const bytes = await readBytes(repository.store, key, { ...options, maxBytes: maxDocumentBytes });
  const record = parseDocument(key, bytes, dumpRecord);
  verifySignature(JSON.parse(bytes.toString('utf8')) as Record<string, unknown>, record, keys);
  // A true record under another name would be another dump.
  const own = dumpPartPrefix(cluster, id);
  const isOwn = record.id === id && record.cluster === cluster;
  if (isOwn && dumpParts(record).every((part) => part.key.startsWith(own))) return record;
  throw new PgproofError('record-invalid', `'${key}' is the record of the dump ${record.cluster}/${record.id}`, {
    facts: { key },
  });
}

/** All that a dump has stored beside its record. */
export const dumpParts = ({ dump, globals }: Pick<DumpRecord, 'dump' | 'globals'>): StoredPart[] => [
  ...dump.parts,
  ...(globals?.parts ?? []),
];

const unsignedRecord = dumpRecord.omit({ signature: true });

/**
 * Signs the record and writes the commit file: from then on the dump exists. Repeating it with the same record succeeds.
 * @throws {PgproofError} as `writeCommitFile`.
 */
export async function commitDump(
  repository: Repository,
  keys: KeyRing,
  record: Omit<DumpRecord, 'signature'>,
  options: StoreOptions = {},
): Promise<DumpRecord> {
  const signed = signRecord(unsignedRecord.parse(record), keys);
  await writeCommitFile(repository, dumpShelf(record.cluster), record.id, canonicalBytes(signed), options);
  return signed;
}
