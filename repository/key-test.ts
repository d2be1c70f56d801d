import { asPgproofError, hasCode, PgproofError } from '../core/errors.ts';
import type { ObjectKey, StoreOptions } from '../storage/store.ts';
import { type Beginning, opensWith, readBeginning } from './beginning.ts';
import { listBackups } from './catalogue.ts';
import { listDumps } from './dumps.ts';
import { currentEra } from './eras.ts';
import { type ClusterKeys, type KeyRing, opens, sealingOf } from './keys.ts';
import { parseWalKey, walPrefix } from './layout.ts';
import type { BackupRecord, DumpRecord, StoredPart } from './record.ts';
import type { Repository } from './repository.ts';
import { candidateSealings } from './wal-read.ts';

/** Whether the keys at hand open something of the repository, and if not, why. */
export type KeyTest = {
  /** `backup <id>`, `dump <id>`, `WAL <segment>`. */
  what: string;
  /** What was tried; null where it did not come to that. */
  object: ObjectKey | null;
  /** The set that opens it, or that it needs; null where it is not encrypted, or where nothing says which one. */
  keyId: string | null;
  error: PgproofError | null;
};

/**
 * Opens the beginning of one part of every backup, of the newest dump of each key set, and of the newest WAL segment of each. No object is read whole: a
 * mebibyte of each at most. What does not open is in the answer, not thrown.
 * @throws {PgproofError} what the store throws.
 */
export async function testKeys(
  repository: Repository,
  { keys, walKeys }: ClusterKeys,
  cluster: string,
  options: StoreOptions = {},
): Promise<KeyTest[]> {
  const tests: KeyTest[] = [];
  for (const entry of await listBackups(repository, keys, cluster, options)) {
    tests.push(
      entry.state === 'damaged'
        ? { what: `backup ${entry.id}`, object: null, keyId: null, error: entry.error }
        : await testRecord(repository, keys, `backup ${entry.id}`, entry.record, firstPart(entry.record), options),
    );
  }
  const dumps = await testDumps(repository, keys, cluster, options);
  return [...tests, ...dumps, ...(await testWal(repository, walKeys, cluster, options))];
}

const firstPart = (record: BackupRecord): StoredPart => record.tablespaces[0]?.parts[0] ?? record.manifest;

/** There may be thousands, and their records say which key set they need. */
async function testDumps(
  repository: Repository,
  keys: KeyRing,
  cluster: string,
  options: StoreOptions,
): Promise<KeyTest[]> {
  const newest = new Map<string | null, DumpRecord>();
  const tests: KeyTest[] = [];
  for (const entry of await listDumps(repository, keys, cluster, options)) {
    if (entry.state === 'whole') newest.set(entry.record.keyId, entry.record);
    else tests.push({ what: `dump ${entry.id}`, object: null, keyId: null, error: entry.error });
  }
  for (const record of newest.values()) {
    const [part] = record.dump.parts as [StoredPart];
    tests.push(await testRecord(repository, keys, `dump ${record.id}`, record, part, options));
  }
  return tests;
}

async function testRecord(
  repository: Repository,
  keys: KeyRing,
  what: string,
  record: { keyId: string | null },
  part: StoredPart,
  options: StoreOptions,
): Promise<KeyTest> {
  const about = { what, object: part.key, keyId: record.keyId };
  return answerOf(about, async () => {
    const sealing = sealingOf(record, keys);
    if (opensWith(await readBeginning(repository, part.key, part.storedBytes, options), sealing)) return record.keyId;
    throw damagedPart(part.key);
  });
}

type Segment = { what: string; key: ObjectKey; bytes: number };

/**
 * WAL does not say which key set sealed it, but each set sealed one stretch of it. So from the newest segment on, the newest
 * that answers differently is looked for by halves, and so on.
 */
async function testWal(
  repository: Repository,
  keys: KeyRing,
  cluster: string,
  options: StoreOptions,
): Promise<KeyTest[]> {
  const segments = await listSegments(repository, cluster, options);
  const tests: KeyTest[] = [];
  // Damage here and there also answers differently: what each set opens is asked, not every object.
  const enough = keys.all.length + 2;
  for (let at = segments.length - 1; at >= 0 && tests.length < enough; ) {
    const newest = await testSegment(repository, keys, segments[at] as Segment, options);
    tests.push(newest);
    at = await newestOther(at, async (index) => {
      const { keyId, error } = await testSegment(repository, keys, segments[index] as Segment, options);
      return keyId === newest.keyId && error?.code === newest.error?.code;
    });
  }
  return tests;
}

/** @returns the largest index below `last` that is not alike, by halves; -1 where all are. */
async function newestOther(last: number, isAlike: (index: number) => Promise<boolean>): Promise<number> {
  let other = -1;
  for (let alike = last; alike - other > 1; ) {
    const middle = Math.floor((alike + other) / 2);
    if (await isAlike(middle)) alike = middle;
    else other = middle;
  }
  return other;
}

/** Of the current era, timeline by timeline. */
async function listSegments(repository: Repository, cluster: string, options: StoreOptions): Promise<Segment[]> {
  const era = await currentEra(repository, cluster, options);
  if (era === undefined) return [];
  const segments: Segment[] = [];
  for await (const { key, bytes } of repository.store.list(walPrefix(cluster, era.era), options)) {
    const found = parseWalKey(key);
    if (found !== undefined) segments.push({ what: `WAL ${found.segment}`, key, bytes });
  }
  return segments;
}

async function testSegment(
  repository: Repository,
  keys: KeyRing,
  { what, key, bytes }: Segment,
  options: StoreOptions,
): Promise<KeyTest> {
  return answerOf({ what, object: key, keyId: null }, async () => {
    const beginning = await readBeginning(repository, key, bytes, options);
    return openingSet(beginning, keys);
  });
}

/** @returns null where it is not encrypted. */
function openingSet(beginning: Beginning, keys: KeyRing): string | null {
  for (const sealing of candidateSealings(beginning.key, beginning.first, keys)) {
    if (opensWith(beginning, sealing)) return keys.all.find((set) => set.sealing === sealing)?.id ?? null;
  }
  throw opensWithNone(beginning.key, keys);
}

async function answerOf(about: Omit<KeyTest, 'error'>, test: () => Promise<string | null>): Promise<KeyTest> {
  try {
    return { ...about, keyId: await test(), error: null };
  } catch (error) {
    const known = asPgproofError(error);
    // What waiting may mend says nothing about the key.
    if (!known.permanent || hasCode(known, 'internal', 'cancelled', 'store-denied')) throw known;
    return { ...about, error: known };
  }
}

function damagedPart(key: ObjectKey): PgproofError {
  return new PgproofError('object-damaged', `'${key}' does not open with the key that its record names`, {
    facts: { key },
    hint: 'It is damaged. `pgproof verify` reads all of it.',
  });
}

function opensWithNone(key: ObjectKey, keys: KeyRing): PgproofError {
  const tried = keys.all.filter(opens).map(({ id }) => id);
  return new PgproofError('key-missing', `'${key}' opens with none of the key sets ${tried.join(', ')}`, {
    facts: { key, tried },
    hint: 'It is damaged, or was sealed with a key that is not at hand: look for a key file or a wrapper with more key sets.',
  });
}
