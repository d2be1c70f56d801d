import { readFile } from 'node:fs/promises';
import { type SegmentName, timelineOf, walFileKind } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { tagOf } from '../repository/tag.ts';
import { tagsOf } from './archived.ts';
import { foreignFiles, removeForeign } from './foreign.ts';
import { judgeHistory, type Known } from './judge.ts';
import { gatherKnown } from './known.ts';
import type { Lineage } from './lineage.ts';
import { judgeFile } from './ship-file.ts';
import { readSpool, type Spool, type SpoolFile } from './spool.ts';
import { storeSegment } from './store-segment.ts';

type Options = { signal: AbortSignal };

/**
 * Looks again at what was refused: a timeline or an era may have become ours since. A segment needs more than a fitting name
 * now, because a copy of this cluster writes the same names: the archive must lack it, the spool too, and the leader must
 * have handed it over by its own account. So a refused file never makes a conflict; in doubt it stays where it is.
 * @param clusters the cluster as each of the repositories has it that WAL is written to: all of them must want the file.
 * @returns what was archived after all, or was archived already.
 * @throws {PgproofError} what the repository throws.
 */
export async function reexamineForeign(
  clusters: readonly ProtectedCluster[],
  spool: Spool,
  options: Options,
): Promise<string[]> {
  const files = await foreignFiles(spool);
  if (files.length === 0) return [];
  const places: Place[] = [];
  for (const cluster of clusters) places.push({ cluster, known: await gatherKnown(cluster, options) });
  // Read after the leader was asked: what it had archived by then is here, or in the repository, or was refused.
  const names = [...(await readSpool(spool)).map(({ name }) => name), ...files.map(({ file }) => file.name)];
  const taken: string[] = [];
  for (const { file, tag } of files) {
    const isOnly = names.filter((name) => name === file.name).length === 1;
    if (!(isOnly && (await takeBack(places, file, options)))) continue;
    await removeForeign(spool, file.name, tag);
    taken.push(file.name);
  }
  return taken;
}

type Place = { cluster: ProtectedCluster; known: Known };

async function takeBack(places: readonly Place[], file: SpoolFile, options: Options): Promise<boolean> {
  switch (file.kind) {
    case 'segment':
      return takeSegment(places, file, options);
    case 'history': {
      // A leader's history file comes from the leader itself; this copy is only in the way when it is the same.
      const text = await readFile(file.path, 'utf8');
      return places.every(({ known }) => judgeHistory(file.name, text, known).verdict === 'release');
    }
    default:
      return false;
  }
}

/** Stored in one only after all have said that they want it. */
async function takeSegment(places: readonly Place[], file: SpoolFile, options: Options): Promise<boolean> {
  const segment = file.name as SegmentName;
  const plain = await readFile(file.path);
  const eras: string[] = [];
  for (const place of places) {
    const era = await eraThatWants(place, file, plain, options);
    if (era === undefined) return false;
    eras.push(era);
  }
  for (const [index, { cluster }] of places.entries())
    await storeSegment(cluster, eras[index] as string, segment, plain, options);
  return true;
}

async function eraThatWants(
  { cluster, known }: Place,
  file: SpoolFile,
  plain: Uint8Array,
  options: Options,
): Promise<string | undefined> {
  const judged = await judgeFile(file, known);
  if (judged.verdict !== 'ship') return undefined;
  const { era } = judged.lineage;
  const segment = file.name as SegmentName;
  const tags = await tagsOf(cluster, era.era, segment, options);
  const isStored = tags.length === 1 && tags[0] === tagOf(cluster.walKeys, cluster.name, era.era, segment, plain);
  const isWanted = isStored || (tags.length === 0 && handedOver(segment, judged.lineage, known));
  return isWanted ? era.era : undefined;
}

/** Whether the leader says that it archived this segment. Of a timeline or an era that ended nobody can say it any more. */
function handedOver(segment: SegmentName, lineage: Lineage, { lineages, leader }: Known): boolean {
  if (lineage !== lineages[0] || leader?.systemId !== lineage.era.systemId) return false;
  const { timeline, lastArchived } = leader;
  const isSegment = lastArchived !== null && walFileKind(lastArchived) === 'segment';
  return (
    isSegment && timelineOf(lastArchived) === timeline && timelineOf(segment) === timeline && segment <= lastArchived
  );
}
