import { hex8, type SegmentName, timelineOf } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { parseWalKey, walPrefix } from '../repository/layout.ts';

type Options = { signal?: AbortSignal };

/** Segments of the archive by name, with the tags of their contents: two tags are a conflict. */
type Tags = Map<SegmentName, string[]>;

/** One content of a segment, as it is stored. The same content under two codecs is two of them. */
export type Content = { segment: SegmentName; tag: string; bytes: number };

/** What the archive holds under this name. */
export async function tagsOf(
  cluster: ProtectedCluster,
  era: string,
  segment: SegmentName,
  options: Options = {},
): Promise<string[]> {
  return distinctTags(await contentsOf(cluster, era, segment, options)).get(segment) ?? [];
}

/** The same, with the bytes that each takes there. */
export async function contentsOf(
  cluster: ProtectedCluster,
  era: string,
  segment: SegmentName,
  options: Options = {},
): Promise<Content[]> {
  return listContents(cluster, era, segment, `${segment}-`, options);
}

/** What the archive holds of the 4 GiB of WAL that `segment` lies in: one small listing, however long the archive. */
export async function tagsAround(
  cluster: ProtectedCluster,
  era: string,
  segment: SegmentName,
  options: Options = {},
): Promise<Tags> {
  return distinctTags(await listContents(cluster, era, segment, '', options));
}

async function listContents(
  { repository, name }: ProtectedCluster,
  era: string,
  segment: SegmentName,
  start: string,
  options: Options,
): Promise<Content[]> {
  const prefix = `${walPrefix(name, era)}${hex8(timelineOf(segment))}/${segment.slice(0, 16)}/${start}`;
  const contents: Content[] = [];
  for await (const { key, bytes } of repository.store.list(prefix, options)) {
    const parsed = parseWalKey(key); // readers ignore what they do not know
    if (parsed !== undefined) contents.push({ ...parsed, bytes });
  }
  return contents;
}

export function distinctTags(contents: readonly Content[]): Tags {
  const found: Tags = new Map();
  for (const { segment, tag } of contents) {
    const tags = found.get(segment) ?? [];
    if (!tags.includes(tag)) found.set(segment, [...tags, tag]);
  }
  return found;
}
