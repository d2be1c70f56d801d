import { PgproofError } from '../core/errors.ts';
import { historyFileName, type TimelineId } from '../core/segment.ts';
import { type HistoryEntry, parseHistory } from '../core/timeline.ts';
import { readBytes } from '../storage/bytes.ts';
import { createIdentical } from '../storage/create.ts';
import type { StoreOptions } from '../storage/store.ts';
import type { KeyRing } from './keys.ts';
import { historyKey, parseHistoryKey, timelinePrefix } from './layout.ts';
import type { Repository } from './repository.ts';
import { tagOf } from './tag.ts';
import { untrusted } from './untrusted.ts';

export type History = { tag: string; text: string; entries: HistoryEntry[] };

/**
 * The adopted timelines of an era above its first.
 * @throws {PgproofError} `wal-conflict` when one timeline has two history files; `object-damaged`, `wal-unreadable`.
 */
export async function listHistories(
  repository: Repository,
  keys: KeyRing,
  cluster: string,
  era: string,
  options: StoreOptions = {},
): Promise<Map<TimelineId, History>> {
  const histories = new Map<TimelineId, History>();
  for (const [timeline, tags] of await listHistoryTags(repository, cluster, era, options)) {
    const [tag, ...others] = tags as [string, ...string[]];
    if (others.length > 0) throw historyConflict(cluster, timeline);
    histories.set(timeline, await readHistory(repository, keys, cluster, era, timeline, tag, options));
  }
  return histories;
}

/** The history files of an era by timeline; two tags of one timeline are a conflict. */
export async function listHistoryTags(
  repository: Repository,
  cluster: string,
  era: string,
  options: StoreOptions = {},
): Promise<Map<TimelineId, string[]>> {
  const listing = new Map<TimelineId, string[]>();
  for await (const { key } of repository.store.list(timelinePrefix(cluster, era), options)) {
    const found = parseHistoryKey(key);
    if (found !== undefined) listing.set(found.timeline, [...(listing.get(found.timeline) ?? []), found.tag]);
  }
  return listing;
}

/** @throws {PgproofError} `object-missing`, `object-damaged`, `wal-unreadable`. */
export async function readHistory(
  repository: Repository,
  keys: KeyRing,
  cluster: string,
  era: string,
  timeline: TimelineId,
  tag: string,
  options: StoreOptions = {},
): Promise<History> {
  const name = historyFileName(timeline);
  const key = historyKey(cluster, era, timeline, tag);
  const bytes = await readBytes(repository.store, key, { ...options, maxBytes: 1024 * 1024 });
  if (tagOf(keys, cluster, era, name, bytes) !== tag) throw untrusted(name, 'its content does not fit its tag');
  const text = bytes.toString('utf8');
  return { tag, text, entries: parseHistory(name, text) };
}

/** Adopts a timeline: from now on its WAL belongs to the archive. Repeating it with the same content succeeds. */
export async function putHistory(
  repository: Repository,
  keys: KeyRing,
  cluster: string,
  era: string,
  timeline: TimelineId,
  bytes: Uint8Array,
  options: StoreOptions = {},
): Promise<{ tag: string }> {
  const tag = tagOf(keys, cluster, era, historyFileName(timeline), bytes);
  await createIdentical(repository.store, historyKey(cluster, era, timeline, tag), bytes, options);
  return { tag };
}

export function historyConflict(cluster: string, timeline: TimelineId): PgproofError {
  return new PgproofError('wal-conflict', `timeline ${timeline} of '${cluster}' has two different history files`, {
    facts: { cluster, timeline },
    hint: 'Two servers took the same timeline. Nothing on it is restored until a person has decided.',
  });
}
