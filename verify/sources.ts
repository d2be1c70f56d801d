import { hasCode } from '../core/errors.ts';
import { hex8 } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { maxDocumentBytes, readDocument } from '../repository/document.ts';
import { readHistory } from '../repository/histories.ts';
import {
  eraKey,
  parseHistoryKey,
  parseWalKey,
  parseWrapperKey,
  readmeKey,
  timelinePrefix,
  walPrefix,
} from '../repository/layout.ts';
import { eraRecord } from '../repository/record.ts';
import { commitKeyOf } from '../repository/shelf.ts';
import { readBytes } from '../storage/bytes.ts';
import { backupSource, dumpSource } from './commit-sources.ts';
import { checkPart, checkSegment } from './contents.ts';
import { readWrapper } from './documents.ts';
import type { Damage, Findings, Subject } from './findings.ts';
import type { Known, KnownEra } from './known.ts';
import { type KnownShelf, shelfOf, shelvesOf } from './shelved.ts';
import { type Source, unusable } from './source.ts';

type Of<Kind extends Subject['of']> = Extract<Subject, { of: Kind }>;

/**
 * Looks for a whole copy of the object, and reads it there.
 * @returns null: there is none.
 * @throws {PgproofError} why the copy cannot be used: it is damaged too, or cannot be checked.
 */
export async function sourceFor(
  here: ProtectedCluster,
  there: ProtectedCluster,
  known: Known,
  damage: Damage,
  findings: Findings,
  signal: AbortSignal,
): Promise<Source | null> {
  const { subject, object } = damage;
  try {
    if (subject.of === 'era') return await eraSource(here, there, known.eras, subject, signal);
    if (subject.of === 'repository') return await topSource(here, there, object, signal);
    const found = shelfOf(shelvesOf(here, known), subject);
    if (found !== undefined && 'id' in subject && object !== commitKeyOf(found.shelf, subject.id))
      return await partSource(here, there, found, subject.id, object, signal);
    if (subject.of === 'dump') return await dumpSource(here, there, known, subject, signal);
    const era = known.eras.find(({ name }) => name === subject.era);
    if (era === undefined) return null;
    if (subject.of === 'wal') return await walSource(here, there, era, subject, damage, signal);
    if (subject.of === 'history') return await historySource(here, there, era, subject, damage, signal);
    return await backupSource(here, there, era, subject, findings, signal);
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
  { census, committed }: KnownShelf,
  id: string,
  key: string,
  signal: AbortSignal,
): Promise<Source | null> {
  const record = committed().find((each) => each.id === id);
  const part = record?.parts.find((each) => each.key === key);
  if (record === undefined || part === undefined) return null;
  await checkPart(there, record, part, { signal });
  return {
    key,
    sha256: part.sha256,
    isWholeHere: async () => (await checkPart(here, record, part, { signal })) !== null,
    done: () => {
      const parts = census.parts.get(id) ?? new Map<string, number>();
      census.parts.set(id, parts.set(key, part.storedBytes));
    },
  };
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
