import { formatSeconds } from '../../core/format.ts';
import type { DrillCheckResult, Phase } from '../../core/report.ts';
import { list, section } from './text.ts';

/** Rows of a table that were counted after a restore; null: not counted. */
export type CountedRows = { schema: string; table: string; rows: number | null };

/** @param prefix what the table is of, where there are several databases. */
export const countedRow = ({ schema, table, rows }: CountedRows, prefix = ''): string[] => [
  `${prefix}${schema}.${table}`,
  rows === null ? 'not counted' : `${rows} rows`,
];

export const phasesSection = (phases: readonly Phase[]): string =>
  section('phases', list(phases.map(({ name, seconds }) => [name, formatSeconds(seconds)])));

export const secondsOf = (phases: readonly Phase[]): number => phases.reduce((sum, { seconds }) => sum + seconds, 0);

/** What every restore of a dump ends with. */
export function closingSections({
  checks,
  conflicts,
  notes,
}: {
  checks: readonly DrillCheckResult[];
  conflicts: readonly string[];
  notes: readonly string[];
}): string[] {
  return [
    section('checks', list(checks.map(({ name, passed, detail }) => [passed ? 'passed' : 'FAILED', name, detail]))),
    section('conflicts', list(conflicts.map((conflict) => [conflict]))),
    section('notes', list(notes.map((note) => [note]))),
  ];
}
