import { formatBytes } from '../core/format.ts';
import type { ReportEntry } from '../repository/report-entries.ts';
import type { ReportPage } from '../repository/report-rows.ts';
import type { Sources } from './reports-sources.ts';
import { table } from './text.ts';

export function renderRows({ rows, next }: ReportPage): string[] {
  const columns = ['ID', 'CLUSTER', 'STATUS', 'DATABASE', 'TOOK', 'SIZE', 'WHAT'];
  return [
    rows.length === 0 ? 'no reports' : table(columns, rows.map(cells)),
    ...(next === null ? [] : ['', `more: --before ${next}`]),
  ];
}

export function awayLines({ away, unknown }: ReturnType<Sources['told']>): string[] {
  return [
    ...away.map(({ repository, error: { message, hint } }) =>
      [`AWAY ${repository}: ${message}`, ...(hint === null ? [] : [hint])].join('\n     '),
    ),
    ...unknown.map((cluster) => `NOT KNOWN: the reports of ${cluster}: none of its repositories answers`),
  ];
}

function cells(entry: ReportEntry): string[] {
  if (entry.state === 'damaged') return [entry.id, entry.cluster, 'DAMAGED', '', '', '', oneLine(entry.error.message)];
  const { id, cluster, status, database, durationSeconds, local, errorMessage, result } = entry.report;
  return [
    id,
    cluster,
    status,
    database ?? '',
    `${durationSeconds.toFixed(1)} s`,
    local.sizeBytes === null ? '' : formatBytes(local.sizeBytes),
    oneLine(errorMessage ?? whatCame(result)),
  ];
}

/** The first thing to look at, or what a drill or a verify came to. */
function whatCame({ findings, verdict }: Record<string, unknown>): string {
  const [finding] = Array.isArray(findings) ? findings : [];
  return [finding, verdict].find((text) => typeof text === 'string') ?? '';
}

const longest = 100;

const oneLine = (text: string): string => {
  const line = text.split('\n', 1)[0] as string;
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line;
};
