import { createHash } from 'node:crypto';
import type { DumpFormat } from '../../core/dump.ts';
import { compactTime } from '../../core/ids.ts';
import type { DumpRecord } from '../../repository/record.ts';

/** What of a dump a file is called by. */
export type Named = Pick<DumpRecord, 'cluster' | 'kind' | 'database' | 'tier' | 'format' | 'host' | 'startedAt'>;

const suffixes: Record<DumpFormat, string> = { custom: '.dump', directory: '', tar: '.tar', plain: '.sql' };

/** `crm_20261121T140501Z_db-7.dump`, its check sum and its globals; of no single database by the cluster's name. */
export function fileNames(dump: Named): { dump: string; checksum: string; globals: string } {
  const { kind, database, cluster, host, format } = dump;
  const base = `${safeName(database ?? cluster)}_${compactTime(new Date(dump.startedAt))}_${host}`;
  const file = kind === 'globals' ? `${base}_globals.sql` : `${base}${suffixes[format]}`;
  return { dump: file, checksum: `${file}.sha256`, globals: `${base}_globals.sql` };
}

/**
 * `full/full_20261121_140501`, UTC, before the suffixes; as the older scripts had it, who knew of one database.
 * @param alone it is the only database that is dumped; otherwise its name stands behind the time.
 */
export function tierName(dump: Omit<Named, 'format'>, alone: boolean): string {
  const { tier, kind, database } = dump;
  const at = compactTime(new Date(dump.startedAt)).replace('T', '_').replace('Z', '');
  const of = kind === 'globals' ? '_globals' : database === null || alone ? '' : `_${safeName(database)}`;
  return `${tier}/${tier}_${at}${of}`;
}

/** A file's name has 255 bytes; behind it come time, host and suffixes. */
const longestBytes = 120;

/**
 * The name of a database as a part of a file's name: what cannot stand there, or what a shell, a terminal or sha256sum would take for
 * something else, stands as `%2F`. Two names never become one.
 */
export function safeName(name: string): string {
  const pieces = [...name].map((sign, at) => (isSafe(sign, at) ? sign : percent(sign)));
  const safe = pieces.join('');
  if (Buffer.byteLength(safe) <= longestBytes) return safe;
  while (Buffer.byteLength(pieces.join('')) > longestBytes - 18) pieces.pop();
  // No other name has this sign behind a percent sign.
  return `${pieces.join('')}%~${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
}

/** Not at the beginning: what makes a file hidden, an option, or somebody's home. */
const isSafe = (sign: string, at: number): boolean =>
  (sign === ' ' || !/[\p{C}\p{Z}/\\%]/u.test(sign)) && (at > 0 || !/[-.~ ]/.test(sign));

const percent = (sign: string): string =>
  [...Buffer.from(sign)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
