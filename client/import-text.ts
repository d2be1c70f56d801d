import type { ErrorDocument } from '../core/errors.ts';
import { formatBytes, printable } from '../core/format.ts';
import { factsOf, type OldFacts } from '../import/facts.ts';
import type { Inventory, OldDump } from '../import/inventory.ts';
import type { ListedBase, ListedWal } from '../import/physical/list.ts';
import type { TakenPhysical } from '../import/physical/take.ts';
import type { VerifiedBase } from '../import/physical/verify.ts';
import { promised } from '../import/suffixes.ts';
import type { Taken, ToTake } from '../import/take.ts';
import type { VerifiedDump } from '../import/verify.ts';
import { table } from './text.ts';

/** What a folder holds, as --json has it. */
export type ListedFolder = ReturnType<typeof listed>;

export function listed(inventory: Inventory, physical: { bases: ListedBase[]; wal: ListedWal }, zone: string | null) {
  return {
    folder: inventory.dir,
    dumps: inventory.dumps.map((dump) => listedDump(dump, zone)),
    bases: physical.bases.map((base) => ({ ...base, error: base.error?.toDocument() ?? null })),
    wal: physical.wal,
    failed: inventory.failed.map(({ place, report }) => ({
      file: place,
      database: report.database,
      startedAt: new Date(report.startedAt).toISOString(),
      message: report.errorMessage,
    })),
    strange: inventory.strange.map(({ place, why }) => ({ file: place, why })),
  };
}

function listedDump(dump: OldDump, zone: string | null) {
  const { source } = dump;
  const facts = factsOf(dump, zone);
  return {
    file: dump.place,
    ...described(facts),
    format: source?.format ?? null,
    layers: source?.layers ?? [],
    form: source?.form ?? null,
    encrypted: source === null ? promised(dump.name).layers.includes('encrypted') : isEncrypted(source.layers),
    serverVersion: source?.head.serverVersion ?? null,
    storedBytes: dump.storedBytes,
    checksumFile: dump.checksumFile !== null,
    globalsFile: dump.globals !== null,
    report: dump.report !== null,
    notes: facts.notes,
    error: errorOf(dump.error),
  };
}

const isEncrypted = (layers: readonly string[]): boolean => layers.some((layer) => layer !== 'gzip');

function described({ kind, database, startedAt, timeFrom, tier, host }: OldFacts) {
  return { kind, database, startedAt: startedAt.toISOString(), timeFrom, tier, host };
}

export function listText({ folder, dumps, bases, wal, failed, strange }: ListedFolder): string {
  const parts = [
    `${printable(folder)}: ${count(dumps.length, 'dump')}, ${count(bases.length, 'base backup')}, ${count(wal.segments, 'segment')} of WAL`,
    dumps.length === 0 ? '' : dumpTable(dumps),
    bases.length === 0 ? '' : baseTable(bases),
    section('of these', notesOf(dumps, bases)),
    section('runs that failed, as their reports say', failed.map(failedLine)),
    section(
      'passed over',
      [...strange, ...wal.others.map((file) => ({ file: `wal/${file}`, why: 'no WAL' }))].map(
        ({ file, why }) => `${printable(file)}: ${why}`,
      ),
    ),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function dumpTable(dumps: ListedFolder['dumps']): string {
  const rows = dumps.map((dump) => [
    printable(dump.file),
    whatItIs(dump),
    shortTime(dump.startedAt),
    dump.tier ?? '-',
    formatBytes(dump.storedBytes),
    [dump.checksumFile ? 'sha256' : '', dump.globalsFile ? 'globals' : '', dump.report ? 'report' : '']
      .filter((word) => word !== '')
      .join(' ') || '-',
    dump.form ?? (dump.error?.code.startsWith('passphrase') ? 'encrypted' : 'NO DUMP'),
  ]);
  return table(['FILE', 'DATABASE', 'TIME', 'TIER', 'SIZE', 'BESIDE', 'FORM'], rows);
}

function whatItIs({ kind, database }: Pick<OldFacts, 'kind' | 'database'>): string {
  if (kind === 'globals') return '(globals)';
  if (kind === 'cluster') return '(whole server)';
  return database === null ? '?' : printable(database);
}

function baseTable(bases: ListedFolder['bases']): string {
  const rows = bases.map((base) => [
    base.name,
    base.startedAt === null ? '?' : shortTime(base.startedAt),
    formatBytes(base.storedBytes),
    base.startLsn === null ? '?' : `timeline ${base.timeline}, ${base.startLsn}`,
    [...base.archives, ...(base.hasManifest ? ['manifest'] : [])].join(' '),
  ]);
  return table(['BASE BACKUP', 'STARTED', 'SIZE', 'FROM', 'HAS'], rows);
}

function notesOf(dumps: ListedFolder['dumps'], bases: ListedFolder['bases']): string[] {
  const lines = dumps.flatMap(({ file, notes, error }) => {
    const told = [...(error === null ? [] : [withoutPath(error)]), ...notes];
    return told.map((text) => ({ file, text }));
  });
  // What is true of many is said once.
  const grouped = Map.groupBy(lines, ({ text }) => text);
  return [
    ...[...grouped].map(([text, own]) =>
      own.length > 2
        ? `${own.length} dumps: ${text}`
        : own.map(({ file }) => `${printable(file)}: ${text}`).join('\n  '),
    ),
    ...bases.flatMap(({ name, error }) => (error === null ? [] : [`${name}: ${error.message}`])),
  ];
}

/** The file stands in front of it already. */
const withoutPath = ({ message, facts }: ErrorDocument): string =>
  typeof facts.path === 'string'
    ? message.replace(`'${facts.path}': `, '').replace(`'${facts.path}' is`, 'it is')
    : message;

function failedLine({ file, database, startedAt, message }: ListedFolder['failed'][number]): string {
  return `${printable(file)}: ${printable(database)}, ${shortTime(startedAt)}${message === null ? '' : `: ${printable(message)}`}`;
}

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
    ...bases.map(({ name, whole, bytes, findings, restorableTo, againstManifest }) => [
      name,
      whole ? 'whole' : 'NOT WHOLE',
      bytes === null ? '' : formatBytes(bytes),
      [...findings, ...baseChecks(againstManifest, restorableTo)].join('; '),
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

/** Null: nothing was done, --dry-run. */
export type Done = { taken: readonly Taken[]; physical: TakenPhysical | null } | null;

export function takenJson(cluster: string, planned: readonly ToTake[], bases: readonly string[], done: Done) {
  const dumps = planned.map(({ dump, facts, tier, database }) => {
    const taken = done?.taken.find(({ place }) => place === dump.place);
    return {
      file: dump.place,
      ...described(facts),
      database,
      tier,
      outcome: taken?.outcome ?? null,
      id: taken?.id ?? null,
      notes: facts.notes,
      error: errorOf(taken?.error ?? dump.error),
    };
  });
  const physical = done?.physical ?? null;
  return {
    cluster,
    dryRun: done === null,
    dumps,
    bases: bases.map((base) => ({ base, ...baseOutcome(physical, base) })),
    wal: physical?.wal ?? null,
  };
}

function baseOutcome(physical: TakenPhysical | null, base: string) {
  const taken = physical?.taken.find((one) => one.base === base);
  const error = errorOf(physical?.refused.find((one) => one.base === base)?.error ?? null);
  if (taken === undefined) return { outcome: error === null ? null : ('refused' as const), id: null, error };
  return { outcome: taken.existed ? ('there' as const) : ('taken' as const), id: taken.backupId, error };
}

export function takenText({ cluster, dryRun, dumps, bases }: ReturnType<typeof takenJson>): string {
  const rows = [
    ...dumps.map((dump) => [
      printable(dump.file),
      whatItIs(dump),
      shortTime(dump.startedAt),
      dump.tier,
      becameOf(dump, dryRun),
    ]),
    ...bases.map((base) => [base.base, '(base backup)', '', '', becameOf(base, dryRun)]),
  ];
  const outcomes = [...dumps, ...bases].map(({ outcome }) => outcome);
  const many = (which: string) => outcomes.filter((outcome) => outcome === which).length;
  const summary = dryRun
    ? `nothing was taken: --dry-run`
    : `${cluster}: ${many('taken')} taken, ${many('there')} there already, ${many('refused')} refused`;
  return `${table(['WHAT', 'DATABASE', 'TIME', 'TIER', 'BECAME'], rows)}\n\n${summary}`;
}

type Became = { outcome: Taken['outcome'] | null; id: string | null; error: ErrorDocument | null };

function becameOf({ outcome, id, error }: Became, dryRun: boolean): string {
  if (error !== null) return `${dryRun ? 'would be REFUSED' : 'REFUSED'}: ${withoutPath(error)}`;
  if (outcome === null) return 'would be taken, unless it is there';
  return `${id}${outcome === 'there' ? ' (there already)' : ''}`;
}

const errorOf = (error: { toDocument(): ErrorDocument } | null): ErrorDocument | null => error?.toDocument() ?? null;

const shortTime = (iso: string): string => iso.replace(/\.\d+Z$/, 'Z');

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;

const section = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? '' : `${title}:\n  ${lines.join('\n  ')}`;
