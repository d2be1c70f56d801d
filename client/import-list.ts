import { formatBytes, printable } from '../core/format.ts';
import { factsOf } from '../import/facts.ts';
import type { Inventory, OldDump } from '../import/inventory.ts';
import type { ListedBase, ListedWal } from '../import/physical/list.ts';
import { promised } from '../import/suffixes.ts';
import { count, described, errorOf, paragraphs, section, shortTime, whatItIs, withoutPath } from './import-words.ts';
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
  return paragraphs(...parts);
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

function failedLine({ file, database, startedAt, message }: ListedFolder['failed'][number]): string {
  return `${printable(file)}: ${printable(database)}, ${shortTime(startedAt)}${message === null ? '' : `: ${printable(message)}`}`;
}
