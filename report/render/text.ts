import { formatSeconds } from '../../core/format.ts';

export const rule = '─'.repeat(72);

const nameWidth = 12;

/** `name        value`, two spaces in; a value of several lines stays in its column. */
export function fields(lines: readonly (readonly [string, string])[]): string {
  const indent = `\n${' '.repeat(nameWidth + 2)}`;
  return lines.map(([name, value]) => `  ${name.padEnd(nameWidth)}${shown(value).split('\n').join(indent)}`).join('\n');
}

/** What a person typed somewhere else may hold anything: nothing of it steers this terminal. */
const shown = (text: string): string =>
  text.replace(/(?!\n)[\p{Cc}\p{Cf}]/gu, (sign) => `\\u{${sign.codePointAt(0)?.toString(16)}}`);

/** Lines of a list below a field, four spaces in, the first column padded. */
export function list(cells: readonly (readonly string[])[]): string {
  const rows = cells.map((row) => row.map(shown));
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  ');
  return rows.map((row) => `    ${line(row).trimEnd()}`).join('\n');
}

export function section(title: string, body: string): string {
  return body === '' ? '' : `  ${title}\n${body}`;
}

export function whereToLook(lines: readonly (readonly [string, string])[]): string {
  return lines.length === 0 ? '' : `${rule}\n${fields(lines)}`;
}

/** A measured number of seconds against its objective. */
export function againstObjective(seconds: number | null, objectiveSeconds: number | null | undefined): string {
  if (seconds === null) return 'not measured';
  if (objectiveSeconds === null || objectiveSeconds === undefined)
    return `${formatSeconds(seconds)} (no objective set)`;
  const kept = seconds <= objectiveSeconds ? 'kept' : 'BROKEN';
  return `${formatSeconds(seconds)} (objective ${formatSeconds(objectiveSeconds)}: ${kept})`;
}
