import { formatBytes, printable } from '../core/format.ts';
import type { VerifiedBase } from '../import/physical/verify.ts';
import type { VerifiedDump } from '../import/verify.ts';
import { errorOf, withoutPath } from './import-words.ts';
import { table } from './text.ts';

export function verifiedJson(folder: string, dumps: readonly VerifiedDump[], bases: readonly VerifiedBase[]) {
  const flat = dumps.map(({ place, whole, found, error }) => ({ file: place, whole, ...found, error: errorOf(error) }));
  return { folder, whole: [...dumps, ...bases].every(({ whole }) => whole), dumps: flat, bases };
}

export function verifiedText(dumps: readonly VerifiedDump[], bases: readonly VerifiedBase[]): string {
  const rows = [
    ...dumps.map(({ place, found, error }) =>
      found === null
        ? [printable(place), 'NOT WHOLE', '', error === null ? '' : withoutPath(error.toDocument())]
        : [printable(place), 'whole', formatBytes(found.plainBytes), checksOf(found.verified, found.notes)],
    ),
    ...bases.map(({ name, whole, bytes, findings, notes, restorableTo, againstManifest }) => [
      name,
      whole ? 'whole' : 'NOT WHOLE',
      bytes === null ? '' : formatBytes(bytes),
      [...findings, ...baseChecks(againstManifest, restorableTo), ...notes].join('; '),
    ]),
  ];
  return table(['WHAT', 'VERDICT', 'SIZE', 'HELD AGAINST'], rows);
}

const words: Record<string, string> = { checksum: 'sha256', trailer: 'its end', list: 'pg_restore --list' };

const checksOf = (verified: readonly string[], notes: readonly string[]): string =>
  [verified.map((check) => words[check] ?? check).join(', '), ...notes].join('; ');

const baseChecks = (againstManifest: boolean, restorableTo: string | null): string[] => [
  ...(againstManifest ? ['its manifest'] : []),
  ...(restorableTo === null ? [] : [`WAL to ${restorableTo}`]),
];
