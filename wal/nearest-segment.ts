import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { Nearest } from '../repository/nearest.ts';
import { readSegment } from '../repository/wal.ts';
import type { ArchivedSegment } from './inventory.ts';

export type SegmentPlace = {
  cluster: Pick<ProtectedCluster, 'walKeys' | 'name'>;
  copies: Nearest;
  era: string;
  segmentBytes: number;
};

/** A segment's plain bytes, checked, from the nearest repository that has it whole. @throws {PgproofError} as `readSegment`. */
export async function readNearestSegment(
  { cluster, copies, era, segmentBytes }: SegmentPlace,
  { name, tag }: ArchivedSegment,
  signal: AbortSignal,
  attemptSeconds = usualSeconds(segmentBytes),
): Promise<Uint8Array> {
  return copies.read(
    `segment ${name}`,
    (repository, limited) =>
      readSegment(repository, cluster.walKeys, cluster.name, era, name, tag, {
        signal: limited,
        maxBytes: segmentBytes,
      }),
    { signal, attemptSeconds },
  );
}

/** A segment may have a gibibyte: a mebibyte a second is slow, and no reason to give up. */
export function usualSeconds(segmentBytes: number): number {
  return Math.max(60, segmentBytes / 1024 ** 2);
}
