import type { Run } from '../core/run.ts';
import type { SegmentName, TimelineId } from '../core/segment.ts';
import { keysPrefix, repositoryKey } from '../repository/layout.ts';
import { type Place, placeOf, topPlaceOf } from '../repository/places.ts';
import type { Repository } from '../repository/repository.ts';
import type { StoredObject } from '../storage/store.ts';

/** Everything of one cluster in one repository, by name and size only: 100,000 segments are some tens of megabytes. */
export type Census = {
  hasMarker: boolean;
  hasReadme: boolean;
  /** Keys of wrapped key sets. */
  wrappers: string[];
  eras: Map<string, EraCensus>;
  dumps: ShelfCensus;
  foreign: { count: number; first: string[] };
  notes: string[];
};

/** What lies on one shelf: of an era's backups, or of the dumps. */
export type ShelfCensus = {
  commits: Set<string>;
  tombstones: Set<string>;
  /** By id: sizes by key. */
  parts: Map<string, Map<string, number>>;
};

export type EraCensus = ShelfCensus & {
  /** Whether `eras/<era>.json` is there. */
  declared: boolean;
  /** Objects by segment: usually one. */
  wal: Map<SegmentName, WalObject[]>;
  histories: { timeline: TimelineId; tag: string; key: string }[];
};

export type WalObject = { tag: string; encrypted: boolean; bytes: number };

const mostForeignNamed = 100;
/** Keys of other clusters that are passed over on the look at the repository's top: 200 requests. */
const mostPassedOver = 200_000;

/**
 * Lists the cluster's objects, and the names at the top of the repository.
 * @throws {PgproofError} what the store says: a listing that broke off is none.
 */
export async function takeCensus(repository: Repository, cluster: string, run: Run): Promise<Census> {
  const census: Census = {
    hasMarker: false,
    hasReadme: false,
    wrappers: [],
    eras: new Map(),
    dumps: emptyShelf(),
    foreign: { count: 0, first: [] },
    notes: [],
  };
  const { signal } = run;
  let seen = 0;
  for await (const object of repository.store.list(`${cluster}/`, { signal })) {
    note(census, cluster, object);
    seen += 1;
    if (seen % 5000 === 0) run.progress({ phase: 'list', note: `${seen} objects` });
  }
  await lookAtTop(census, repository, cluster, run);
  return census;
}

async function lookAtTop(census: Census, { store }: Repository, cluster: string, { signal }: Run): Promise<void> {
  let passedOver = 0;
  for await (const { key } of store.list('', { signal })) {
    const place = topPlaceOf(key);
    if (place === 'marker') census.hasMarker = true;
    else if (place === 'readme') census.hasReadme = true;
    else if (place === 'wrapper') census.wrappers.push(key);
    else if (place === 'unknown') foreign(census, key);
    else if (!key.startsWith(`${cluster}/`)) passedOver += 1;
    if (passedOver <= mostPassedOver) continue;
    census.notes.push(
      `The repository holds very many objects of other clusters: names at its top behind '${key.slice(0, key.indexOf('/'))}' were not looked at.`,
    );
    // The keys of a listing ascend: what lies behind is looked for by name.
    for await (const wrapper of store.list(keysPrefix, { signal })) {
      if (topPlaceOf(wrapper.key) === 'wrapper' && !census.wrappers.includes(wrapper.key))
        census.wrappers.push(wrapper.key);
    }
    for await (const top of store.list(repositoryKey, { signal })) {
      if (topPlaceOf(top.key) === 'marker') census.hasMarker = true;
    }
    return;
  }
}

function note(census: Census, cluster: string, { key, bytes }: StoredObject): void {
  const place = placeOf(cluster, key);
  if (place.kind === 'unknown') foreign(census, key);
  else if ('era' in place) noteInEra(eraOf(census, place.era), place, key, bytes);
  else if (place.kind === 'dump-commit') census.dumps.commits.add(place.id);
  else if (place.kind === 'dump-tombstone') census.dumps.tombstones.add(place.id);
  else if (place.kind === 'dump-part') partsOf(census.dumps, place.id).set(key, bytes);
}

function noteInEra(era: EraCensus, place: Extract<Place, { era: string }>, key: string, bytes: number): void {
  if (place.kind === 'era') era.declared = true;
  else if (place.kind === 'commit') era.commits.add(place.id);
  else if (place.kind === 'tombstone') era.tombstones.add(place.id);
  else if (place.kind === 'part') partsOf(era, place.id).set(key, bytes);
  else if (place.kind === 'history') era.histories.push({ timeline: place.timeline, tag: place.tag, key });
  else {
    const object = { tag: place.tag, encrypted: key.endsWith('.enc'), bytes };
    const others = era.wal.get(place.segment);
    if (others === undefined) era.wal.set(place.segment, [object]);
    else others.push(object);
  }
}

function eraOf({ eras }: Census, name: string): EraCensus {
  const known = eras.get(name);
  if (known !== undefined) return known;
  const era: EraCensus = { ...emptyShelf(), declared: false, wal: new Map(), histories: [] };
  eras.set(name, era);
  return era;
}

export const emptyShelf = (): ShelfCensus => ({ commits: new Set(), tombstones: new Set(), parts: new Map() });

function partsOf({ parts }: ShelfCensus, id: string): Map<string, number> {
  const known = parts.get(id) ?? new Map<string, number>();
  parts.set(id, known);
  return known;
}

function foreign(census: Census, key: string): void {
  census.foreign.count += 1;
  if (census.foreign.first.length < mostForeignNamed) census.foreign.first.push(key);
}
