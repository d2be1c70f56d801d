import { createHash } from 'node:crypto';
import { encodeBytes } from '../codec/encode.ts';
import { suffixOf } from '../codec/sealing.ts';
import { hasCode, PgproofError } from '../core/errors.ts';
import { hex8, type SegmentName, type TimelineId, timelineOf } from '../core/segment.ts';
import type { StoreOptions } from '../storage/store.ts';
import { type KeyRing, opens, sealingFor } from './keys.ts';
import { associatedData, parseWalKey, walKey, walPrefix } from './layout.ts';
import type { Repository } from './repository.ts';
import { tagOf } from './tag.ts';
import { untrusted } from './untrusted.ts';
import { readSegment } from './wal-read.ts';

export { type History, listHistories, listHistoryTags, putHistory, readHistory } from './histories.ts';
export { readSegment } from './wal-read.ts';

/**
 * zstd's fastest: after an outage what counts is how soon the backlog is safe. Against level 3 it takes half the CPU; pgbench's
 * WAL became 5 to 15 % larger.
 */
const walLevel = 1;

/** Tags by segment. Two tags of one segment are a conflict: archived twice with different content. */
export type WalListing = Map<SegmentName, string[]>;

/** All segments of an era, or of one timeline; keys that are none of ours are passed over. */
export async function listWal(
  repository: Repository,
  cluster: string,
  era: string,
  { timeline, ...options }: StoreOptions & { timeline?: TimelineId } = {},
): Promise<WalListing> {
  const prefix = `${walPrefix(cluster, era)}${timeline === undefined ? '' : `${hex8(timeline)}/`}`;
  const listing: WalListing = new Map();
  for await (const { key } of repository.store.list(prefix, options)) {
    const found = parseWalKey(key);
    if (found === undefined) continue;
    const tags = listing.get(found.segment) ?? [];
    // The same content under two codecs is one content.
    if (!tags.includes(found.tag)) listing.set(found.segment, [...tags, found.tag]);
  }
  return listing;
}

/**
 * Stores a segment. The same content again is success (`existed`); other content is stored beside it: whether that is a
 * conflict is for whoever lists. An object that is there and does not hold what its name says is replaced: the caller has
 * the content, and keeps it until this has answered. So is one that this host has no key to read.
 */
export async function putSegment(
  repository: Repository,
  keys: KeyRing,
  cluster: string,
  era: string,
  segment: SegmentName,
  plain: Uint8Array,
  options: StoreOptions = {},
): Promise<{ tag: string; storedBytes: number; existed: boolean }> {
  const tag = tagOf(keys, cluster, era, segment, plain);
  const sealing = sealingFor(keys);
  const key = walKey(cluster, era, segment, tag, suffixOf(sealing));
  const stored = await encodeBytes(plain, sealing, associatedData(key), { ...options, level: walLevel });
  const answer = { tag, storedBytes: stored.length };
  if (await tryCreate(repository, key, stored, options)) return { ...answer, existed: false };
  // The key names the content; that the object holds it is checked, because after this the only other copy goes away.
  const there = await examine(repository, keys, cluster, era, segment, tag, plain, options);
  if (there === 'whole' || !(await removed(repository, key, there, options))) return { ...answer, existed: true };
  if (await tryCreate(repository, key, stored, options)) return { ...answer, existed: false };
  throw untrusted(segment, 'it is damaged in the repository, and could not be replaced');
}

/**
 * False where the store keeps it for a time, and nothing is known against it: a host that only writes cannot look, and the
 * store compared its checksum when it took it. `verify` reads it on a host that can.
 */
async function removed(
  { store }: Repository,
  key: string,
  there: 'damaged' | 'unreadable',
  options: StoreOptions,
): Promise<boolean> {
  try {
    await store.remove(key, options);
    return true;
  } catch (error) {
    if (there === 'unreadable' && hasCode(error, 'object-retained')) return false;
    throw error;
  }
}

/** False when there is such an object already. */
async function tryCreate(
  { store }: Repository,
  key: string,
  stored: Uint8Array,
  options: StoreOptions,
): Promise<boolean> {
  try {
    const created = await store.create(key, stored, options);
    if (created.bytes === stored.length && created.sha256 === sha256(stored)) return true;
  } catch (error) {
    if (hasCode(error, 'object-exists')) return false;
    throw error;
  }
  throw untrusted(key, 'the store took something other than what it was given');
}

async function examine(
  repository: Repository,
  keys: KeyRing,
  cluster: string,
  era: string,
  segment: SegmentName,
  tag: string,
  plain: Uint8Array,
  options: StoreOptions,
): Promise<'whole' | 'damaged' | 'unreadable'> {
  if (keys.current !== null && !opens(keys.current)) return 'unreadable';
  const maxBytes = plain.length;
  try {
    const there = await readSegment(repository, keys, cluster, era, segment, tag, { ...options, maxBytes });
    return Buffer.compare(there, plain) === 0 ? 'whole' : 'damaged';
  } catch (error) {
    if (hasCode(error, 'object-damaged', 'object-missing')) return 'damaged';
    if (hasCode(error, 'key-missing')) return 'unreadable';
    throw error;
  }
}

/**
 * Removes one of the contents of a segment from all these repositories, for a person who decided which one is not ours.
 * @throws {PgproofError} `wal-conflict` unless another content stays in one of them.
 */
export async function discardSegment(
  repositories: readonly Repository[],
  cluster: string,
  era: string,
  segment: SegmentName,
  tag: string,
  options: StoreOptions = {},
): Promise<void> {
  const timeline = timelineOf(segment);
  const listings = await Promise.all(
    repositories.map((repository) => listWal(repository, cluster, era, { ...options, timeline })),
  );
  const tags = [...new Set(listings.flatMap((listing) => listing.get(segment) ?? []))];
  if (!tags.includes(tag) || tags.length < 2) {
    throw new PgproofError('wal-conflict', `segment ${segment} has no second content; '${tag}' is not discarded`, {
      facts: { segment, tag, tags },
      hint: `See: pgproof wal quarantine list ${cluster}`,
    });
  }
  for (const { store } of repositories)
    for (const suffix of ['.zst', '.zst.enc'] as const)
      await store.remove(walKey(cluster, era, segment, tag, suffix), options);
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
