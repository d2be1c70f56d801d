import { formatBytes } from '../../core/format.ts';
import type { DrillResult } from '../../core/report.ts';

/** Which dump was drilled, as lines of a report. */
export function dumpFields({ dump, restored }: DrillResult): [string, string][] {
  if (dump === null) return [];
  return [
    ['dump', `${dump.id} (${dump.tier}), ${formatBytes(dump.storedBytes)} stored`],
    ['of', dump.database === null ? 'no single database' : `database '${dump.database}'`],
    ...(dump.file === undefined ? [] : [['file', dump.file] satisfies [string, string]]),
    ...(restored == null ? [] : [['tables', tablesOf(restored)] satisfies [string, string]]),
  ];
}

/** Rows that were counted one by one, of the largest tables. */
export function rowCounts({ restored }: DrillResult): [string, string][] {
  return (restored?.largest ?? []).map(({ schema, table, rows }) => [
    `${schema}.${table}`,
    rows === null ? 'not counted: it took too long' : `${rows} rows`,
  ]);
}

function tablesOf({ tables: { found, expected } }: NonNullable<DrillResult['restored']>): string {
  return expected === null ? `${found}; the dump has no list to compare with` : `${found} of ${expected} in its list`;
}
