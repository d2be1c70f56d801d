import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { isCut } from '../repository/cuts.ts';
import { placeOf } from '../repository/places.ts';
import { syncFolder, writeDurably } from '../storage/durable-file.ts';
import type { Findings } from './findings.ts';
import type { KnownEra } from './known.ts';

/*
 * WAL that a repair takes away, until its copy is in place: in this host's state, a file a key. The newest WAL of an archive is known by its
 * own name only: nothing else would tell that it had been there, when the repair is killed in between, or its source goes away.
 */

/** Durable when it answers. */
export async function noteReplacing(cluster: ProtectedCluster, key: string): Promise<void> {
  const folder = folderOf(cluster);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await syncFolder(join(folder, '..'));
  await writeDurably(join(folder, encodeURIComponent(key)), '');
}

export async function forgetReplacing(cluster: ProtectedCluster, key: string): Promise<void> {
  await rm(join(folderOf(cluster), encodeURIComponent(key)), { force: true });
}

/** Finds what repairs on this host took away and nobody has brought back. */
export async function findTakenAway(
  cluster: ProtectedCluster,
  eras: readonly KnownEra[],
  findings: Findings,
): Promise<void> {
  for (const name of await readdir(folderOf(cluster)).catch(() => [])) {
    const object = decodeURIComponent(name);
    const place = placeOf(cluster.name, object);
    if (place.kind !== 'wal') continue;
    const { era, segment, tag } = place;
    const known = eras.find((each) => each.name === era);
    const objects = known?.census.wal.get(segment) ?? [];
    const segmentBytes = known?.record?.segmentBytes;
    const isExpired = segmentBytes !== undefined && isCut(segment, known?.cuts ?? [], segmentBytes);
    if (isExpired || objects.some((each) => each.tag === tag)) await forgetReplacing(cluster, object);
    else if (
      !findings.open.some(({ kind, subject: of }) => kind === 'missing' && of.of === 'wal' && of.segment === segment)
    ) {
      const why = 'a repair took it away, and was interrupted before its copy was in place';
      findings.add({ object, kind: 'missing', why, subject: { of: 'wal', era, segment } });
    }
  }
}

const folderOf = ({ paths, repository }: ProtectedCluster): string =>
  join(paths.state, 'verify', 'replacing', repository.id);
