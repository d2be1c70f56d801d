import type { DumpKind } from '../core/dump.ts';
import { partOf } from '../core/dump-part.ts';
import { formatBytes } from '../core/format.ts';
import { dumpParts } from '../repository/dumps.ts';
import type { MergedDump } from '../repository/merged.ts';
import type { DumpRecord } from '../repository/record.ts';
import { copiesText, whereDamaged } from './places-text.ts';
import { table } from './text.ts';
import { damageOf, type Verified } from './verified.ts';

/** A dump as `list` tells of it. */
export function dumpSummary(entry: MergedDump, verified: readonly Verified[]) {
  const { id, repositories } = entry;
  const damagedIn = entry.damagedIn.map(({ repository, error }) => ({ repository, error: error.toDocument() }));
  const places = { repositories, damagedIn };
  const damage = damageOf(id, verified);
  if (entry.state === 'damaged') return { id, state: entry.state, ...places, error: entry.error.toDocument(), damage };
  const { kind, database, tier, format, content, compression, startedAt, finishedAt, selection } = entry.record;
  return {
    ...{ id, state: entry.state, ...places },
    ...{ kind, database, tier, format, content, compression, startedAt, finishedAt },
    /** What of the database, in words; null: all of it. */
    part: partOf({ content, ...selection }),
    sizeBytes: entry.record.dump.plainBytes,
    storedBytes: dumpStoredBytes(entry.record),
    globals: entry.record.globals !== null,
    serverVersion: entry.record.server.version,
    toolVersion: entry.record.toolVersion,
    cipher: entry.record.codec.cipher,
    importedFrom: entry.record.importedFrom,
    findings: entry.record.findings,
    /** What the newest verify of each repository found wrong with it. */
    damage,
  };
}

export function dumpsTable(dumps: readonly ReturnType<typeof dumpSummary>[]): string {
  const rows = dumps.map((dump) => {
    const where = `${copiesText(dump)}${whereDamaged(dump.damage)}`;
    if (dump.state === 'damaged') return [dump.id, '', '', 'DAMAGED', '', '', '', `${where}: ${dump.error.message}`];
    const { id, tier, format, startedAt, sizeBytes, storedBytes } = dump;
    const form = `${format}${partText(dump)}`;
    return [id, databaseText(dump), tier, form, startedAt, formatBytes(sizeBytes), formatBytes(storedBytes), where];
  });
  return table(['DUMP', 'OF', 'TIER', 'FORMAT', 'TAKEN', 'SIZE', 'STORED', 'WHERE'], rows);
}

function partText({ content, part }: { content: DumpRecord['content']; part: string | null }): string {
  const selected = part === null || part === `${content} only` ? '' : ', a part';
  return `${content === 'all' ? '' : `, ${content} only`}${selected}`;
}

/** A name may hold what a terminal would obey. */
function databaseText({ kind, database }: { kind: DumpKind; database: string | null }): string {
  if (database === null) return kind === 'globals' ? '(globals)' : '(whole server)';
  return /\p{Cc}/u.test(database) ? JSON.stringify(database) : database;
}

const dumpStoredBytes = (record: DumpRecord): number =>
  dumpParts(record).reduce((sum, { storedBytes }) => sum + storedBytes, 0);

/** @param places what `show` says of where it is. */
export function dumpText(record: DumpRecord, places: readonly [string, string][]): string {
  const { server, codec, entries, content, selection, globals } = record;
  const selected = Object.entries(selection).flatMap(([what, patterns]) =>
    patterns.length === 0 ? [] : [`${what}: ${patterns.join(', ')}`],
  );
  const facts: [string, string][] = [
    ['dump', `${record.id} (${record.tier})`],
    ['of', `${databaseText(record)}, cluster ${record.cluster}`],
    [
      'form',
      `${record.format}${partText({ ...record, part: partOf({ content, ...selection }) })}${record.compression === null ? '' : `, ${record.compression}`}`,
    ],
    ...selected.map((line): [string, string] => ['selected', line]),
    ['server', `PostgreSQL ${server.version ?? 'unknown'}${server.inRecovery ? ', a standby' : ''}`],
    [
      'taken',
      `${record.startedAt} to ${record.finishedAt}, by pg_dump ${record.toolVersion ?? 'unknown'} on ${record.host}`,
    ],
    ['size', `${formatBytes(record.dump.plainBytes)}, stored ${formatBytes(dumpStoredBytes(record))}`],
    ['sha256', `${record.dump.sha256}, as pg_dump wrote it`],
    ['globals', globals === null ? 'none' : `with ${formatBytes(globals.plainBytes)} of them`],
    ...(entries === null ? [] : [['holds', `${entries.tables} tables, ${entries.total} entries`] as [string, string]]),
    [
      'codec',
      codec.cipher === 'none' ? 'zstd, NOT ENCRYPTED, NOT AUTHENTICATED' : `zstd, ${codec.cipher}, key ${record.keyId}`,
    ],
    ['verified', record.verified.length === 0 ? 'not before it was committed' : record.verified.join(', ')],
    ['signature', record.signature === null ? 'none' : `valid, key ${record.signature.keyId}`],
    ...(record.importedFrom === null ? [] : [['taken over', `from ${record.importedFrom}`] as [string, string]]),
    ...places,
    ...record.findings.map((finding): [string, string] => ['LOOK AT', finding]),
    ...record.notes.map((note): [string, string] => ['note', note]),
  ];
  const parts = dumpParts(record).map((part) => [part.key, formatBytes(part.storedBytes), part.sha256]);
  return `${facts.map(([name, value]) => `${name.padEnd(12)}${value}`).join('\n')}\n\n${table(['PART', 'STORED', 'SHA-256'], parts)}`;
}
