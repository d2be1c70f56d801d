import type { ConnectionConfig } from '../core/config.ts';
import { connectionArgs } from '../postgres/client.ts';
import type { DumpTarget } from './target.ts';

/** How pg_dump compresses: `none`, `gzip:6`, `zstd:3`. */
export type Compression = string;

/** Where a directory is written; null: the dump goes to the standard output. */
type Destination = { folder: string } | null;

/**
 * pg_dump takes what stands for a database for a connection string where it looks like one: `host=evil` would lead elsewhere. Quoted in
 * a connection string of our own, any name is a name. Source: libpq, conninfo_parse.
 */
export const databaseArg = (database: string): string => `dbname='${database.replace(/[\\']/g, '\\$&')}'`;

/** Arguments of pg_dump. Every value that somebody chose follows an `=`, so that none can be an option. */
export function dumpArgs(
  connection: ConnectionConfig,
  { database, options }: DumpTarget & { database: string },
  { major, compression, destination }: { major: number; compression: Compression; destination: Destination },
): string[] {
  const { format, content, jobs } = options;
  return [
    ...connectionArgs(connection),
    `--dbname=${databaseArg(database)}`,
    `--format=${format}`,
    ...(destination === null ? [] : [`--file=${destination.folder}`, `--jobs=${jobs}`, '--no-sync']),
    ...compressionArgs(format, compression, major),
    ...contentArgs(content),
    // A pattern that fits nothing must not pass in silence beside one that does.
    '--strict-names',
    ...options.tables.map((pattern) => `--table=${pattern}`),
    ...options.excludeTables.map((pattern) => `--exclude-table=${pattern}`),
    ...options.excludeTableData.map((pattern) => `--exclude-table-data=${pattern}`),
    ...options.schemas.map((pattern) => `--schema=${pattern}`),
    ...options.excludeSchemas.map((pattern) => `--exclude-schema=${pattern}`),
    ...commonArgs(options),
  ];
}

/** Arguments of pg_dumpall. @param what the globals alone, in this encoding; or everything, with these options. */
export function dumpallArgs(
  connection: ConnectionConfig,
  what: { globals: true; encoding: string | null } | { globals: false; options: DumpTarget['options'] },
  rolePasswords: boolean,
): string[] {
  return [
    ...connectionArgs(connection),
    `--database=${databaseArg(connection.database)}`,
    ...(rolePasswords ? [] : ['--no-role-passwords']),
    ...(what.globals ? ['--globals-only', ...encodingArgs(what.encoding)] : []),
    ...(what.globals ? [] : [...contentArgs(what.options.content), ...commonArgs(what.options)]),
  ];
}

const contentArgs = (content: DumpTarget['options']['content']): string[] =>
  content === 'all' ? [] : [`--${content}-only`];

const commonArgs = ({ owner, privileges, encoding }: DumpTarget['options']): string[] => [
  ...(owner ? [] : ['--no-owner']),
  ...(privileges ? [] : ['--no-privileges']),
  ...encodingArgs(encoding),
];

const encodingArgs = (encoding: string | null): string[] => (encoding === null ? [] : [`--encoding=${encoding}`]);

/** Before 16 there is gzip only, and it is told by its level. */
function compressionArgs(format: string, compression: Compression, major: number): string[] {
  if (format !== 'custom' && format !== 'directory') return [];
  if (compression === 'none') return ['--compress=0'];
  return [`--compress=${major >= 16 ? compression : compression.replace('gzip:', '')}`];
}
