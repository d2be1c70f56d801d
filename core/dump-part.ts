import type { DecidedDump } from './dump.ts';

type Selection = Pick<
  DecidedDump,
  'content' | 'tables' | 'excludeTables' | 'excludeTableData' | 'schemas' | 'excludeSchemas'
>;

/**
 * What of its database a dump holds, in words; null: all of it. Two dumps of a database stand in for each other only where this is the
 * same: the newest one of the schema alone is no newer dump of its data.
 */
export function partOf(selected: Selection): string | null {
  const of = (words: string, patterns: readonly string[]): string[] =>
    patterns.length === 0 ? [] : [`${words} ${patterns.toSorted().join(', ')}`];
  const parts = [
    ...(selected.content === 'all' ? [] : [`${selected.content} only`]),
    ...of('only tables', selected.tables),
    ...of('only schemas', selected.schemas),
    ...of('without tables', selected.excludeTables),
    ...of('without schemas', selected.excludeSchemas),
    ...of('without data of', selected.excludeTableData),
  ];
  return parts.length === 0 ? null : parts.join('; ');
}
