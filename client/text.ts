import { formatBytes } from '../core/format.ts';
import type { Progress } from '../core/run.ts';

/** Columns two spaces apart, left-aligned; the last one is never padded. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows];
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => (column === headings.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function progressLine(progress: Progress): string {
  const { phase, doneBytes, totalBytes, note } = progress;
  const share = totalBytes && doneBytes !== undefined ? ` of about ${formatBytes(totalBytes)}` : '';
  const bytes = doneBytes === undefined ? '' : ` ${formatBytes(doneBytes)}${share}`;
  return `  ${phase}${bytes}${note === undefined ? '' : ` (${note})`}`;
}
