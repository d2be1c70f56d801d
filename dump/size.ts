import { formatBytes } from '../core/format.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { commitStates } from '../repository/commit-state.ts';
import { readDumpRecord } from '../repository/dumps.ts';
import { readEntry } from '../repository/entries.ts';
import type { DumpRecord } from '../repository/record.ts';
import type { Repository } from '../repository/repository.ts';
import { dumpShelf } from '../repository/shelf.ts';
import type { UnsignedDump } from './record.ts';

/** What of a record says that another one ought to be about as large. */
type Comparable = Pick<
  DumpRecord,
  | 'kind'
  | 'database'
  | 'tier'
  | 'format'
  | 'content'
  | 'compression'
  | 'selection'
  | 'owner'
  | 'privileges'
  | 'importedFrom'
>;

/** Records that are read to find the last one: it is not far behind, one turn of a cluster's databases. */
const mostRead = 1000;

/** Whether a dump is less than half as large as the last one that was made in the same way: a sentence for a person, or null. */
export function suddenlySmall(
  dump: Pick<DumpRecord, 'dump'>,
  last: Pick<DumpRecord, 'dump' | 'id'> | null,
): string | null {
  if (last === null || dump.dump.plainBytes * 2 >= last.dump.plainBytes) return null;
  const sizes = `${formatBytes(dump.dump.plainBytes)}, and the last one was ${formatBytes(last.dump.plainBytes)}`;
  return `less than half as large as the last one: ${sizes} (${last.id})`;
}

/** The newest dump before this one that was made in the same way; null: there is none. One that is damaged is passed over. */
export async function lastAlike(
  cluster: Pick<ProtectedCluster, 'name' | 'keys'>,
  repository: Repository,
  dump: UnsignedDump,
  signal: AbortSignal,
): Promise<DumpRecord | null> {
  const states = await commitStates(repository, dumpShelf(cluster.name), { signal });
  const whole = [...states].filter(([, { committed, tombstones }]) => committed && tombstones.length === 0);
  const newestFirst = whole
    .map(([id]) => id)
    .sort()
    .reverse();
  for (const id of newestFirst.slice(0, mostRead)) {
    const entry = await readEntry(id, () => readDumpRecord(repository, cluster.keys, cluster.name, id, { signal }));
    if (entry.state === 'whole' && entry.record.startedAt < dump.startedAt && isAlike(entry.record, dump))
      return entry.record;
  }
  return null;
}

/** Made in the same way, of the same things. */
export const isAlike = (one: Comparable, other: Comparable): boolean => formOf(one) === formOf(other);

function formOf(dump: Comparable): string {
  const { kind, database, tier, format, content, compression, selection, owner, privileges, importedFrom } = dump;
  const { tables, excludeTables, excludeTableData, schemas, excludeSchemas } = selection;
  const selected = [tables, excludeTables, excludeTableData, schemas, excludeSchemas];
  const isImported = importedFrom !== null;
  return JSON.stringify([kind, database, tier, format, content, compression, selected, owner, privileges, isImported]);
}
