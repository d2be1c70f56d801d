import { formatBytes } from '../../core/format.ts';
import type { Report } from '../../core/report.ts';
import {
  type Affected,
  type Finding,
  percentRead,
  type VerifiedRepository,
  verifyResult,
} from '../../core/verified.ts';
import { fields, section } from './text.ts';

/** What was looked at, each finding with what it makes unrestorable, and what was done about it. */
export function renderVerify({ result }: Report): string {
  const parsed = verifyResult.safeParse(result);
  if (!parsed.success) return '';
  const { repositories, notes } = parsed.data;
  return [...repositories.map(renderRepository), section('notes', lines(notes))]
    .filter((part) => part !== '')
    .join('\n\n');
}

function renderRepository(one: VerifiedRepository): string {
  const findings = one.findings.map(renderFinding);
  if (one.findingsLeftOut > 0) findings.push(`and ${one.findingsLeftOut} more`);
  return [
    fields([
      ['repository', `${one.repository}: ${one.verdict}${one.verdictReason === null ? '' : `, ${one.verdictReason}`}`],
      ['read back', readBack(one)],
      ...(one.unpacked.length === 0
        ? []
        : [['unpacked', `${one.unpacked.join(', ')}: pg_verifybackup found it whole`] as const]),
      ...(one.dumpsRead.length === 0 ? [] : [['dumps read', `${one.dumpsRead.join(', ')}: whole to the end`] as const]),
    ]),
    section('found', lines(findings)),
    section('could not be read, so nobody knows', lines(one.unread.map(({ object, why }) => `${object}: ${why}`))),
    section('notes', lines(one.notes)),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function readBack(one: VerifiedRepository): string {
  const { objects, bytes, readObjects, readBytes, rotation } = one;
  const share = rotation === null ? '' : `; share ${rotation.slot + 1} of ${rotation.slots}`;
  const read = `${formatBytes(readBytes)} of ${formatBytes(bytes)} (${percentRead(one)} %)`;
  return `${read}, ${readObjects} of ${objects} objects${share}`;
}

function renderFinding({ kind, object, through, objects, why, affects, repair }: Finding): string {
  const what = through === null ? object : `${object}\nto ${through} (${objects} objects)`;
  const repairs = repair === null ? [] : [`  ${repair.outcome.toUpperCase()}: ${repair.detail}`];
  return [
    `${kind.toUpperCase()} ${what}`,
    `  ${why}`,
    ...affectedLines(affects).map((line) => `  ${line}`),
    ...repairs,
  ].join('\n');
}

function affectedLines({ backups, cutShort, dumps, globals, from, to }: Affected): string[] {
  const lost = from === null ? [] : [`cannot be restored from here: what is behind ${positionOf(from)}${until(to)}`];
  return [
    ...(backups.length === 0 ? [] : [`cannot be restored from here at all: backup ${backups.join(', ')}`]),
    ...(cutShort.length === 0 ? [] : [`can be restored only up to there: backup ${cutShort.join(', ')}`]),
    ...(dumps.length === 0 ? [] : [`cannot be restored from here at all: dump ${dumps.join(', ')}`]),
    ...(globals.length === 0 ? [] : [`can be restored from here without its globals only: dump ${globals.join(', ')}`]),
    ...lost,
  ];
}

const until = (to: Affected['to']): string =>
  to === null ? ', until there is another backup' : ` and before ${positionOf(to)}, the end of the next backup`;

const positionOf = ({ lsn, at }: { lsn: string; at: string | null }): string => (at === null ? lsn : `${lsn} (${at})`);

const lines = (all: readonly string[]): string =>
  all.map((line) => `    ${line.split('\n').join('\n    ')}`).join('\n');
