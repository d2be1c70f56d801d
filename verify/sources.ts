import { hasCode, PgproofError } from '../core/errors.ts';
import type { Lsn } from '../core/lsn.ts';
import { hex8, segmentsBetween } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { readRecord } from '../repository/catalogue.ts';
import { commitDocument } from '../repository/commit.ts';
import { commitState } from '../repository/commit-state.ts';
import { maxDocumentBytes, readDocument } from '../repository/document.ts';
import { readHistory } from '../repository/histories.ts';
import {
  backupKey,
  eraKey,
  parseHistoryKey,
  parseWalKey,
  parseWrapperKey,
  readmeKey,
  timelinePrefix,
  walPrefix,
} from '../repository/layout.ts';
import { type BackupRecord, eraRecord } from '../repository/record.ts';
import { backupShelf } from '../repository/shelf.ts';
import { readBytes } from '../storage/bytes.ts';
import { checkPart, checkSegment } from './contents.ts';
import { type KnownEra, readWrapper } from './documents.ts';
import type { Damage, Findings, Subject } from './findings.ts';
import { partsOf, walObjectKey } from './work.ts';

/** A whole copy of an object in another repository, under the same key there and here. */
export type Source = {
  key: string;
  /** Of the stored bytes, where the record says it. */
  sha256: string | null;
  isWholeHere(): Promise<boolean>;
  /** How it is put here, where its bytes alone are not all. */
  put?(): Promise<void>;
  /** Tells what was known of the repository that the object is there. */
  done(): void;
};

type Of<Kind extends Subject['of']> = Extract<Subject, { of: Kind }>;

/**
 * Looks for a whole copy of the object, and reads it there.
 * @returns null: there is none.
 * @throws {PgproofError} why the copy cannot be used: it is damaged too, or cannot be checked.
 */
export async function sourceFor(
  here: ProtectedCluster,
  there: ProtectedCluster,
  eras: readonly KnownEra[],
  damage: Damage,
  findings: Findings,
  signal: AbortSignal,
): Promise<Source | null> {
  const { subject, object } = damage;
  try {
    if (subject.of === 'era') return await eraSource(here, there, eras, subject, signal);
    if (subject.of === 'repository') return await topSource(here, there, object, signal);
    const era = eras.find(({ name }) => name === subject.era);
    if (era === undefined) return null;
    if (subject.of === 'wal') return await walSource(here, there, era, subject, damage, signal);
    if (subject.of === 'history') return await historySource(here, there, era, subject, damage, signal);
    if (subject.of !== 'backup') return null;
    return object === backupKey(here.name, era.name, subject.id)
      ? await commitSource(here, there, era, subject, findings, signal)
      : await partSource(here, there, era, subject, object, signal);
  } catch (error) {
    if (hasCode(error, 'object-missing')) return null;
    throw error;
  }
}

/** The marker names this repository and no other: there is no copy of it. */
async function topSource(
  here: ProtectedCluster,
  there: ProtectedCluster,
  key: string,
  signal: AbortSignal,
): Promise<Source | null> {
  const isReadme = key === readmeKey;
  if (!isReadme && parseWrapperKey(key) === undefined) return null;
  const read = async ({ repository }: ProtectedCluster) =>
    (await readBytes(repository.store, key, { signal, maxBytes: maxDocumentBytes })).length > 0;
  const isWhole = async (cluster: ProtectedCluster): Promise<boolean> => {
    if (!isReadme) await readWrapper(cluster, key, signal);
    return read(cluster);
  };
  if (!(await isWhole(there))) throw unusable(key, 'it is empty there');
  return { key, sha256: null, isWholeHere: () => isWhole(here), done: () => {} };
}

async function eraSource(
  here: ProtectedCluster,
  there: ProtectedCluster,
  eras: readonly KnownEra[],
  { era }: Of<'era'>,
  signal: AbortSignal,
): Promise<Source> {
  const key = eraKey(here.name, era);
  const read = async ({ repository }: ProtectedCluster) => readDocument(repository.store, key, eraRecord, { signal });
  const record = await read(there);
  if (record.era !== era) throw unusable(key, `it describes the era '${record.era}'`);
  return {
    key,
    sha256: null,
    isWholeHere: async () => (await read(here)).era === era,
    done: () => {
      const known = eras.find(({ name }) => name === era);
      if (known !== undefined) known.record = record;
    },
  };
}

async function historySource(
  here: ProtectedCluster,
  there: ProtectedCluster,
  era: KnownEra,
  { timeline }: Of<'history'>,
  { object, kind }: Damage,
  signal: AbortSignal,
): Promise<Source | null> {
  const key =
    kind === 'damaged'
      ? object
      : await onlyKey(there, `${timelinePrefix(here.name, era.name)}${hex8(timeline)}-`, signal);
  const tag = key === null ? undefined : parseHistoryKey(key)?.tag;
  if (key === null || tag === undefined) return null;
  const read = ({ repository, walKeys, name }: ProtectedCluster) =>
    readHistory(repository, walKeys, name, era.name, timeline, tag, { signal });
  const { entries } = await read(there);
  return {
    key,
    sha256: null,
    isWholeHere: async () => (await read(here)).tag === tag,
    done: () => void era.histories.set(timeline, entries),
  };
}

async function walSource(
  here: ProtectedCluster,
  there: ProtectedCluster,
  era: KnownEra,
  { segment }: Of<'wal'>,
  { object, kind }: Damage,
  signal: AbortSignal,
): Promise<Source | null> {
  const segmentBytes = era.record?.segmentBytes ?? era.records[0]?.segmentBytes;
  if (segmentBytes === undefined) throw unusable(object, 'the era does not say how large a segment is');
  const prefix = `${walPrefix(here.name, era.name)}${segment.slice(0, 8)}/${segment.slice(0, 16)}/${segment}-`;
  const key = kind === 'damaged' ? object : await onlyKey(there, prefix, signal);
  const tag = key === null ? undefined : parseWalKey(key)?.tag;
  if (key === null || tag === undefined) return null;
  const check = (cluster: ProtectedCluster, bytes: number) =>
    checkSegment(cluster, era.name, { key, segment, tag, bytes }, { segmentBytes, signal });
  const bytes = await bytesOf(there, key, signal);
  if (bytes === undefined) return null;
  const { decoded } = await check(there, bytes);
  if (!decoded) throw unusable(key, 'this host has no key that opens it, so nobody can tell whether it is whole');
  return {
    key,
    sha256: null,
    isWholeHere: async () => (await check(here, bytes)).decoded,
    done: () => void era.census.wal.set(segment, [{ tag, encrypted: key.endsWith('.enc'), bytes }]),
  };
}

async function partSource(
  here: ProtectedCluster,
  there: ProtectedCluster,
  era: KnownEra,
  { id }: Of<'backup'>,
  key: string,
  signal: AbortSignal,
): Promise<Source | null> {
  const record = era.records.find((each) => each.id === id);
  const part = record && partsOf(record).find((each) => each.key === key);
  if (record === undefined || part === undefined) return null;
  await checkPart(there, record, part, { signal });
  return {
    key,
    sha256: part.sha256,
    isWholeHere: async () => (await checkPart(here, record, part, { signal })) !== null,
    done: () => {
      const parts = era.census.parts.get(id) ?? new Map<string, number>();
      era.census.parts.set(id, parts.set(key, part.storedBytes));
    },
  };
}

/**
 * A commit file is put back only where nobody has deleted the backup, here or there, and everything that it speaks of is here: then it
 * is a backup again.
 */
async function commitSource(
  here: ProtectedCluster,
  there: ProtectedCluster,
  era: KnownEra,
  { id }: Of<'backup'>,
  findings: Findings,
  signal: AbortSignal,
): Promise<Source> {
  const key = backupKey(here.name, era.name, id);
  const read = ({ repository, keys, name }: ProtectedCluster) =>
    readRecord(repository, keys, name, era.name, id, { signal });
  const record = await read(there);
  for (const { repository, name } of [here, there]) {
    const { tombstones } = await commitState(repository, backupShelf(name, era.name), id, { signal });
    if (tombstones.length > 0) throw unusable(key, `the backup was deleted in repository ${repository.name}`);
  }
  refuseWithoutWal(here, era, record, findings);
  await ensureParts(here, there, record, signal);
  return {
    key,
    sha256: null,
    isWholeHere: async () => (await read(here)).id === id,
    put: async () => {
      const document = await readBytes(there.repository.store, key, { signal, maxBytes: maxDocumentBytes });
      // Somebody may delete the backup in the meantime, here or there.
      await commitDocument(here.repository, record, document, { signal, copiedFrom: there.repository });
    },
    done: () => void era.records.push(record),
  };
}

/** Parts that are not here, or not whole, are taken from there, too. */
async function ensureParts(
  here: ProtectedCluster,
  there: ProtectedCluster,
  record: BackupRecord,
  signal: AbortSignal,
): Promise<void> {
  for (const part of partsOf(record)) {
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
    throw unusable(backupKey(name, era, id), `its WAL segment ${segment} is not whole in this repository`);
  }
}

/** The one key that begins so; where there are several, nobody knows which one is right. */
async function onlyKey({ repository }: ProtectedCluster, prefix: string, signal: AbortSignal): Promise<string | null> {
  const keys: string[] = [];
  for await (const { key } of repository.store.list(prefix, { signal })) keys.push(key);
  if (keys.length > 1) throw unusable(prefix, `repository ${repository.name} has ${keys.length} different ones`);
  return keys[0] ?? null;
}

async function bytesOf(
  { repository }: ProtectedCluster,
  key: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  for await (const object of repository.store.list(key, { signal })) if (object.key === key) return object.bytes;
  return undefined;
}

const unusable = (key: string, why: string): PgproofError =>
  new PgproofError('copy-incomplete', why, { facts: { key } });
