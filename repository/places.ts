import { isRunId } from '../core/ids.ts';
import { isName } from '../core/names.ts';
import type { SegmentName, TimelineId } from '../core/segment.ts';
import { keysPrefix, parseHistoryKey, parseWalKey, parseWrapperKey, readmeKey, repositoryKey } from './layout.ts';

/** What a key of the repository's top is: ours, a cluster's, or nothing that the layout knows. */
export type TopPlace = 'marker' | 'readme' | 'wrapper' | 'cluster' | 'unknown';

/** What a key below `<cluster>/` is. */
export type Place =
  | { kind: 'era'; era: string }
  | { kind: 'commit'; era: string; id: string }
  | { kind: 'tombstone'; era: string; id: string }
  | { kind: 'part'; era: string; id: string }
  | { kind: 'wal'; era: string; segment: SegmentName; tag: string }
  | { kind: 'history'; era: string; timeline: TimelineId; tag: string }
  | { kind: 'dump-commit' | 'dump-tombstone' | 'dump-part'; id: string }
  | { kind: 'report'; id: string }
  /** Of a capability that this version does not check: its prefix is in the layout. */
  | { kind: 'other' }
  | { kind: 'unknown' };

const eraName = /^\d{4}-pg\d{2}-\d{1,20}$/;
const partName = /^(?:(?:pgdata|\d+)\.\d+\.tar|backup_manifest)\.zst(?:\.enc)?$/;
const dumpPartName = /^(?:dump\.(?:custom|directory\.tar|tar|sql)|globals\.sql)\.\d+\.zst(?:\.enc)?$/;
const commitName = /^([^.]+)(\.[0-9a-f]{8}\.deleted)?\.json$/;
/** Prefixes of the layout (docs/repository-format.md) that hold what others check. */
const otherFolders = ['owner', 'holds'];
const otherEraFolders = ['cuts', 'wal-open', 'wal-index'];

export function topPlaceOf(key: string): TopPlace {
  if (key === repositoryKey) return 'marker';
  if (key === readmeKey) return 'readme';
  if (key.startsWith(keysPrefix)) return parseWrapperKey(key) === undefined ? 'unknown' : 'wrapper';
  const slash = key.indexOf('/');
  return slash > 0 && isName(key.slice(0, slash)) ? 'cluster' : 'unknown';
}

/** @param key below `<cluster>/`. */
export function placeOf(cluster: string, key: string): Place {
  const [folder, ...rest] = key.slice(cluster.length + 1).split('/') as [string, ...string[]];
  const inside = rest.join('/');
  if (folder === 'eras') {
    const era = /^(.+)\.json$/.exec(inside)?.[1] ?? '';
    return eraName.test(era) ? { kind: 'era', era } : { kind: 'unknown' };
  }
  if (folder === 'reports') {
    const id = /^\d{4}\/\d{2}\/([^/]+)\.json$/.exec(inside)?.[1] ?? '';
    return isRunId(id) ? { kind: 'report', id } : { kind: 'unknown' };
  }
  if (folder === 'dumps') return placeOfDump(rest);
  if (otherFolders.includes(folder)) return { kind: 'other' };
  return eraName.test(folder) ? placeInEra(folder, inside, key) : { kind: 'unknown' };
}

function placeInEra(era: string, inside: string, key: string): Place {
  const [folder, ...rest] = inside.split('/') as [string, ...string[]];
  if (otherEraFolders.includes(folder)) return { kind: 'other' };
  if (folder === 'backups' && rest.length === 1) return placeOfCommit(era, rest[0] as string);
  if (folder === 'base' && rest.length === 2) {
    const [id, name] = rest as [string, string];
    return isRunId(id) && partName.test(name) ? { kind: 'part', era, id } : { kind: 'unknown' };
  }
  if (folder === 'wal' && rest.length === 3) {
    const found = parseWalKey(key);
    return found === undefined ? { kind: 'unknown' } : { kind: 'wal', era, ...found };
  }
  if (folder === 'timelines' && rest.length === 1) {
    const found = parseHistoryKey(key);
    return found === undefined ? { kind: 'unknown' } : { kind: 'history', era, ...found };
  }
  return { kind: 'unknown' };
}

function placeOfCommit(era: string, name: string): Place {
  const found = committed(name);
  return found === null ? { kind: 'unknown' } : { ...found, era };
}

function placeOfDump(rest: readonly string[]): Place {
  const [name = '', part = ''] = rest;
  if (rest.length === 2 && isRunId(name) && dumpPartName.test(part)) return { kind: 'dump-part', id: name };
  const found = rest.length === 1 ? committed(name) : null;
  return found === null ? { kind: 'unknown' } : { kind: `dump-${found.kind}`, id: found.id };
}

/** Null for what is neither a commit file nor a tombstone. */
function committed(name: string): { kind: 'commit' | 'tombstone'; id: string } | null {
  const match = commitName.exec(name);
  const id = match?.[1] ?? '';
  if (match === null || !isRunId(id)) return null;
  return { kind: match[2] === undefined ? 'commit' : 'tombstone', id };
}
