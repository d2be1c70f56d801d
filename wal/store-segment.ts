import { PgproofError } from '../core/errors.ts';
import type { SegmentName } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { putSegment } from '../repository/wal.ts';
import { contentsOf, distinctTags } from './archived.ts';
import { conflictOf } from './await.ts';

type Options = { signal?: AbortSignal };

export type StoredSegment = {
  /** Set when the archive now holds this name with other bytes, too: both are kept, and a person decides. */
  conflict: PgproofError | undefined;
};

/**
 * Puts a segment into the archive, and returns only when it can be taken from the spool: durable, and readable where an
 * earlier attempt had already put it.
 */
export async function storeSegment(
  cluster: ProtectedCluster,
  era: string,
  segment: SegmentName,
  plain: Uint8Array,
  options: Options,
): Promise<StoredSegment> {
  const { repository, walKeys, name } = cluster;
  const { tag, storedBytes, existed } = await putSegment(repository, walKeys, name, era, segment, plain, options);
  // Written first, then looked: of two hosts that archive the same name, at least one sees the other's.
  const contents = await contentsOf(cluster, era, segment, options);
  const own = contents.filter((content) => content.tag === tag);
  if (own.length === 0) {
    throw new PgproofError(
      'store-unreachable',
      `the store does not list segment ${segment}, which it took a moment ago`,
      { facts: { segment, tag } },
    );
  }
  // One that was there was read. Of one that is new the store says how much it kept.
  if (!existed && !own.some(({ bytes }) => bytes === storedBytes)) {
    throw new PgproofError('object-damaged', `the store kept other than ${storedBytes} bytes of segment ${segment}`, {
      facts: { segment, tag, storedBytes, keptBytes: own.map(({ bytes }) => bytes) },
      hint: 'The segment stays in the spool, and is put again. Look at the disk or the store of the repository.',
    });
  }
  const tags = distinctTags(contents).get(segment) ?? [];
  return { conflict: tags.length > 1 ? conflictOf(segment, tags) : undefined };
}
