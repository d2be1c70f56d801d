import type { DumpKind } from '../core/dump.ts';
import { partOf } from '../core/dump-part.ts';
import type { DumpLimit } from '../core/objectives.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { commitStates } from '../repository/commit-state.ts';
import { readDumpRecord } from '../repository/dumps.ts';
import { readEntry } from '../repository/entries.ts';
import { dumpShelf } from '../repository/shelf.ts';
import type { Dated } from './judge.ts';

type Known = Dated & { kind: DumpKind; database: string | null; part: string | null; isImported: boolean };

/** By repository and cluster, then by id. Records never change, and a worker asks for the same ones every few minutes: each is read once. */
const known = new Map<string, Map<string, Known>>();

/** Records read at once. */
const width = 8;

/**
 * The newest dump of each that is looked for, by the clock of its server: one listing, and mostly one record each. Damaged ones are
 * passed over.
 * @returns in the order of `wanted`.
 */
export async function newestDumps(
  cluster: ProtectedCluster,
  wanted: readonly DumpLimit[],
  options: { signal: AbortSignal },
): Promise<(Dated | null)[]> {
  if (wanted.length === 0) return [];
  const { repository, name } = cluster;
  const states = await commitStates(repository, dumpShelf(name), options);
  const ids = [...states].flatMap(([id, { committed, tombstones }]) =>
    committed && tombstones.length === 0 ? [id] : [],
  );
  ids.sort().reverse();
  const shelf = `${repository.id}/${name}`;
  const before = known.get(shelf) ?? new Map<string, Known>();
  const still = ids.flatMap((id): [string, Known][] => (before.has(id) ? [[id, before.get(id) as Known]] : []));
  const records = new Map(still);
  known.set(shelf, records);
  const newest = new Map<DumpLimit, Known>();
  const settled = new Set<DumpLimit>();
  for (let next = 0; next < ids.length && settled.size < wanted.length; next += width) {
    const read = await Promise.all(ids.slice(next, next + width).map((id) => readKnown(cluster, id, records, options)));
    for (const dump of read) {
      if (dump === null) continue;
      for (const limit of wanted) {
        if (!fits(limit, dump)) continue;
        const best = newest.get(limit);
        if (best === undefined || Date.parse(dump.at) > Date.parse(best.at)) newest.set(limit, dump);
        // Ids tell the order of those that were taken; one that was taken over may be years older than its id.
        if (!dump.isImported) settled.add(limit);
      }
    }
  }
  return wanted.map((limit) => {
    const found = newest.get(limit);
    return found === undefined ? null : { id: found.id, at: found.at };
  });
}

function fits({ database, parts }: DumpLimit, dump: Known): boolean {
  if (dump.kind === 'globals' || !parts.includes(dump.part)) return false;
  return database === null || dump.kind === 'cluster' || dump.database === database;
}

async function readKnown(
  { repository, keys, name }: ProtectedCluster,
  id: string,
  records: Map<string, Known>,
  options: { signal: AbortSignal },
): Promise<Known | null> {
  const before = records.get(id);
  if (before !== undefined) return before;
  const entry = await readEntry(id, () => readDumpRecord(repository, keys, name, id, options));
  if (entry.state === 'damaged') return null;
  const { kind, database, content, selection, startedAt, importedFrom } = entry.record;
  const part = partOf({ content, ...selection });
  const dump = { id, at: startedAt, kind, database, part, isImported: importedFrom !== null };
  records.set(id, dump);
  return dump;
}
