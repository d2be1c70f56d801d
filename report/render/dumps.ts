import { type DumpRow, type DumpRun, subjectName } from '../../core/dump-run.ts';
import { formatBytes, formatSeconds } from '../../core/format.ts';
import { fields, list, rule, whereToLook } from './text.ts';

/** What a run of dumps came to, a line each. @param lines where a person goes on from here. */
export function renderDumps({ cluster, dumps }: DumpRun, lines: readonly (readonly [string, string])[]): string {
  const files = dumps.flatMap(({ exported }) => exported);
  const sections = [
    `DUMP DONE: ${cluster}\n${rule}`,
    list([['DATABASE', 'DUMP', 'TIER', 'FORMAT', 'SIZE', 'STORED', 'TOOK'], ...dumps.map(columns)]),
    fields([
      ...sayings(dumps, ({ findings }) => findings).map((finding): [string, string] => ['LOOK AT', finding]),
      ['is in', [...new Set(dumps.flatMap(({ repositories }) => repositories))].join(', ')],
      ...sayings(dumps, notIn).map((place): [string, string] => ['NOT IN', place]),
      ...files.map((file): [string, string] => ['file', file]),
      ['protection', [...new Set(dumps.map(protection))].join('; ')],
      ...sayings(dumps, ({ notes }) => notes).map((note): [string, string] => ['note', note]),
    ]),
    whereToLook(lines),
  ];
  return sections.filter((text) => text !== '').join('\n\n');
}

const columns = (row: DumpRow): string[] => [
  subjectName(row),
  row.id,
  row.tier,
  row.format,
  formatBytes(row.sizeBytes),
  formatBytes(row.storedBytes),
  formatSeconds(row.durationSeconds),
];

const protection = ({ cipher }: DumpRow): string =>
  cipher === 'none' ? 'NOT ENCRYPTED, NOT AUTHENTICATED' : `${cipher}, signed`;

const notIn = ({ dropped }: DumpRow): string[] =>
  dropped.map(
    ({ repository, code, message }) => `${repository}: ${message} [${code}]; \`pgproof copy\` brings it there`,
  );

/** Once what is true of all of them, and otherwise of which. */
function sayings(dumps: readonly DumpRow[], of: (row: DumpRow) => readonly string[]): string[] {
  const texts = dumps.flatMap((row) =>
    of(row).map((text) => (dumps.every((other) => of(other).includes(text)) ? text : `${subjectName(row)}: ${text}`)),
  );
  return [...new Set(texts)];
}
