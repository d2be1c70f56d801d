import { hasCode } from '../core/errors.ts';
import type { Lsn } from '../core/lsn.ts';
import { segmentsBetween } from '../core/segment.ts';
import type { SealedParts } from '../parts/reader.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { readRecord } from '../repository/catalogue.ts';
import { commitDocument } from '../repository/commit.ts';
import { writeCommitFile } from '../repository/commit-file.ts';
import { commitState } from '../repository/commit-state.ts';
import { maxDocumentBytes } from '../repository/document.ts';
import { dumpParts, readDumpRecord } from '../repository/dumps.ts';
import type { BackupRecord, StoredPart } from '../repository/record.ts';
import { backupShelf, commitKeyOf, dumpShelf, type Shelf } from '../repository/shelf.ts';
import { readBytes } from '../storage/bytes.ts';
import { checkPart } from './contents.ts';
import type { Findings, Subject } from './findings.ts';
import type { Known, KnownEra } from './known.ts';
import { type Source, unusable } from './source.ts';
import { partsOf, walObjectKey } from './work.ts';

type Of<Kind extends Subject['of']> = Extract<Subject, { of: Kind }>;

/**
 * A commit file is put back only where nobody has deleted the backup, here or there, and everything that it speaks of is here: then it
 * is a backup again.
 */
export async function backupSource(
  here: ProtectedCluster,
  there: ProtectedCluster,
  era: KnownEra,
  { id }: Of<'backup'>,
  findings: Findings,
  signal: AbortSignal,
): Promise<Source> {
  const shelf = backupShelf(here.name, era.name);
  const read = ({ repository, keys, name }: ProtectedCluster) =>
    readRecord(repository, keys, name, era.name, id, { signal });
  const record = await read(there);
  await refuseDeleted([here, there], shelf, id, signal);
  refuseWithoutWal(here, era, record, findings);
  await ensureParts(here, there, record, partsOf(record), signal);
  const options = { signal, copiedFrom: there.repository };
  return commitSource(there, commitKeyOf(shelf, id), signal, {
    isWholeHere: async () => (await read(here)).id === id,
    put: (document) => commitDocument(here.repository, record, document, options),
    done: () => void era.records.push(record),
  });
}

/** As `backupSource`. */
export async function dumpSource(
  here: ProtectedCluster,
  there: ProtectedCluster,
  { dumps }: Known,
  { id }: Of<'dump'>,
  signal: AbortSignal,
): Promise<Source> {
  const shelf = dumpShelf(here.name);
  const read = ({ repository, keys, name }: ProtectedCluster) => readDumpRecord(repository, keys, name, id, { signal });
  const record = await read(there);
  await refuseDeleted([here, there], shelf, id, signal);
  await ensureParts(here, there, record, dumpParts(record), signal);
  const options = { signal, copiedFrom: there.repository };
  return commitSource(there, commitKeyOf(shelf, id), signal, {
    isWholeHere: async () => (await read(here)).id === id,
    put: (document) => writeCommitFile(here.repository, shelf, id, document, options),
    done: () => void dumps.records.push(record),
  });
}

type Putting = Pick<Source, 'isWholeHere' | 'done'> & { put(document: Buffer): Promise<void> };

/** The document is written as it is there. Somebody may delete what it commits in the meantime, here or there: `put` looks. */
function commitSource(there: ProtectedCluster, key: string, signal: AbortSignal, { put, ...how }: Putting): Source {
  const document = () => readBytes(there.repository.store, key, { signal, maxBytes: maxDocumentBytes });
  return { key, sha256: null, ...how, put: async () => put(await document()) };
}

async function refuseDeleted(
  where: readonly ProtectedCluster[],
  shelf: Shelf,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  for (const { repository } of where) {
    const { tombstones } = await commitState(repository, shelf, id, { signal });
    if (tombstones.length > 0)
      throw unusable(commitKeyOf(shelf, id), `the ${shelf.what} was deleted in repository ${repository.name}`);
  }
}

/** Parts that are not here, or not whole, are taken from there, too. */
async function ensureParts(
  here: ProtectedCluster,
  there: ProtectedCluster,
  record: SealedParts,
  parts: readonly StoredPart[],
  signal: AbortSignal,
): Promise<void> {
  for (const part of parts) {
    try {
      await checkPart(here, record, part, { signal });
      continue;
    } catch (error) {
      if (!hasCode(error, 'object-missing', 'object-damaged')) throw error;
    }
    await checkPart(there, record, part, { signal });
    await here.repository.store.remove(part.key, { signal });
    await here.repository.store.create(part.key, await there.repository.store.read(part.key, { signal }), { signal });
    await checkPart(here, record, part, { signal });
  }
}

/** Invariant 1 holds for a backup that is put back, too. */
function refuseWithoutWal(
  { name }: ProtectedCluster,
  { name: era, census }: KnownEra,
  { id, startLsn, stopLsn, timeline, segmentBytes }: BackupRecord,
  findings: Findings,
): void {
  const open = new Set(findings.open.map(({ object }) => object));
  for (const segment of segmentsBetween(startLsn as Lsn, stopLsn as Lsn, timeline, segmentBytes)) {
    const objects = census.wal.get(segment) ?? [];
    if (objects.some((object) => !open.has(walObjectKey(name, era, segment, object)))) continue;
    throw unusable(
      commitKeyOf(backupShelf(name, era), id),
      `its WAL segment ${segment} is not whole in this repository`,
    );
  }
}
