import { PgproofError } from '../core/errors.ts';
import { historyFileName, type SegmentName, timelineOf, walFileKind } from '../core/segment.ts';
import { inRepository, type ProtectedCluster } from '../postgres/cluster.ts';
import { currentEra } from '../repository/eras.ts';
import { historyKey } from '../repository/layout.ts';
import { assertOwner } from '../repository/owner.ts';
import { discardSegment, listHistoryTags, listWal } from '../repository/wal.ts';
import { tagsOf } from './archived.ts';
import { type ForeignFile, listForeign, removeForeign } from './foreign.ts';
import { makeSpool } from './spool.ts';

type Options = { signal?: AbortSignal };

/** A segment, or a history file, that the archive holds with more than one content. */
export type Conflict = { segment: string; tags: string[] };

export type Quarantine = {
  /** Of the current era. */
  conflicts: Conflict[];
  /** Files that were refused; they lie in the spool's `foreign` folder on this host. */
  foreign: ForeignFile[];
};

/** What needs a person's decision. Nothing of it is ever removed otherwise. */
export async function listConflicts(cluster: ProtectedCluster, options: Options = {}): Promise<Quarantine> {
  const { repositories, name } = cluster;
  const foreign = await listForeign(await makeSpool(cluster.paths.spool));
  const files = new Map<string, string[]>();
  const segments = new Map<string, string[]>();
  const era = await newestEra(cluster, options);
  for (const repository of era === undefined ? [] : repositories) {
    const histories = await listHistoryTags(repository, name, era as string, options);
    for (const [timeline, tags] of histories) addTags(files, historyFileName(timeline), tags);
    for (const [segment, tags] of await listWal(repository, name, era as string, options))
      addTags(segments, segment, tags);
  }
  return { conflicts: [...conflictsIn(files), ...conflictsIn(segments)], foreign };
}

/** One content in one repository and another one in the next are two contents: nobody knows which is ours. */
function addTags(listing: Map<string, string[]>, name: string, tags: readonly string[]): void {
  listing.set(name, [...new Set([...(listing.get(name) ?? []), ...tags])]);
}

async function newestEra({ repositories, name }: ProtectedCluster, options: Options): Promise<string | undefined> {
  const eras = await Promise.all(repositories.map((repository) => currentEra(repository, name, options)));
  return eras
    .flatMap((era) => (era === undefined ? [] : [era.era]))
    .sort()
    .at(-1);
}

export function conflictsIn(listing: ReadonlyMap<string, string[]>): Conflict[] {
  return [...listing].flatMap(([segment, tags]) => (tags.length > 1 ? [{ segment, tags }] : []));
}

export type Discarded = { file: string; tag: string; from: 'archive' | 'foreign' };

/**
 * Deletes one of several contents of a file in the archive, in every repository at hand, or a refused file, for good. A
 * person's act.
 * @param tag as `listConflicts` shows it, or at least its first 6 digits.
 * @throws {PgproofError} `quarantine-missing` unless exactly one content fits; the only content of an archived file never does. `owner-other`.
 */
export async function discardConflict(
  cluster: ProtectedCluster,
  file: string,
  tag: string,
  options: Options = {},
): Promise<Discarded> {
  const { conflicts, foreign } = await candidates(cluster, file, options);
  const found: Discarded[] = [
    ...conflicts.map((whole) => ({ file, tag: whole, from: 'archive' as const })),
    ...foreign.map((whole) => ({ file, tag: whole, from: 'foreign' as const })),
  ].filter((candidate) => /^[0-9a-f]{6,32}$/.test(tag) && candidate.tag.startsWith(tag));
  const [only, ...others] = found;
  if (only === undefined || others.length > 0) throw notThere(file, tag);
  if (only.from === 'foreign') await removeForeign(await makeSpool(cluster.paths.spool), file, only.tag);
  else await discardArchived(cluster, only, options);
  return only;
}

/** The tags under this name that may be discarded. */
async function candidates(
  cluster: ProtectedCluster,
  file: string,
  options: Options,
): Promise<{ conflicts: string[]; foreign: string[] }> {
  const refused = await listForeign(await makeSpool(cluster.paths.spool));
  const archived = await archivedTags(cluster, file, options);
  return {
    conflicts: archived.length > 1 ? archived : [],
    foreign: refused.filter((candidate) => candidate.file === file).map(({ tag }) => tag),
  };
}

async function archivedTags(cluster: ProtectedCluster, file: string, options: Options): Promise<string[]> {
  const era = await newestEra(cluster, options);
  if (era === undefined) return [];
  const found = new Map<string, string[]>();
  for (const repository of cluster.repositories)
    addTags(found, file, await tagsIn(inRepository(cluster, repository), era, file, options));
  return found.get(file) ?? [];
}

async function tagsIn(cluster: ProtectedCluster, era: string, file: string, options: Options): Promise<string[]> {
  switch (walFileKind(file)) {
    case 'segment':
      return tagsOf(cluster, era, file as SegmentName, options);
    case 'history':
      return (await listHistoryTags(cluster.repository, cluster.name, era, options)).get(timelineOf(file)) ?? [];
    default:
      return [];
  }
}

async function discardArchived(cluster: ProtectedCluster, { file, tag }: Discarded, options: Options): Promise<void> {
  const { repositories, name } = cluster;
  const era = await newestEra(cluster, options);
  if (era === undefined) throw notThere(file, tag);
  for (const repository of repositories) await assertOwner(repository, cluster, options);
  if (walFileKind(file) === 'segment')
    return discardSegment(repositories, name, era, file as SegmentName, tag, options);
  for (const { store } of repositories) await store.remove(historyKey(name, era, timelineOf(file), tag), options);
}

function notThere(file: string, tag: string): PgproofError {
  return new PgproofError(
    'quarantine-missing',
    `no single content of '${file}' with the tag '${tag}' is in quarantine`,
    {
      facts: { file, tag },
      hint: 'Give a name and a tag as `pgproof wal quarantine list` shows them.',
    },
  );
}
