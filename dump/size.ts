import { formatBytes } from '../core/format.ts';
import type { DumpRecord } from '../repository/record.ts';

/** What of a record says that another one ought to be about as large. */
type Comparable = Pick<
  DumpRecord,
  'kind' | 'database' | 'tier' | 'format' | 'content' | 'compression' | 'selection' | 'owner' | 'privileges' | 'dump'
>;

/**
 * Whether a dump is less than half as large as the last one that was made in the same way: a sentence for a person, or null.
 * @param earlier oldest first.
 */
export function suddenlySmall(record: Comparable, earlier: readonly DumpRecord[]): string | null {
  const last = earlier.findLast((one) => formOf(one) === formOf(record));
  if (last === undefined || record.dump.plainBytes * 2 >= last.dump.plainBytes) return null;
  const sizes = `${formatBytes(record.dump.plainBytes)}, and the last one was ${formatBytes(last.dump.plainBytes)}`;
  return `less than half as large as the last one: ${sizes} (${last.id})`;
}

function formOf({
  kind,
  database,
  tier,
  format,
  content,
  compression,
  selection,
  owner,
  privileges,
}: Comparable): string {
  const { tables, excludeTables, excludeTableData, schemas, excludeSchemas } = selection;
  const selected = [tables, excludeTables, excludeTableData, schemas, excludeSchemas];
  return JSON.stringify([kind, database, tier, format, content, compression, selected, owner, privileges]);
}
