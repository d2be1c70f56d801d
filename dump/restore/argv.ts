import type { ConnectionConfig } from '../../core/config.ts';
import { databaseArg } from '../../core/sql-text.ts';
import { connectionArgs } from '../../postgres/client.ts';
import type { DecidedRestore } from './options.ts';

export type ArchiveArgs = {
  options: DecidedRestore;
  /** Objects of the dump are dropped first. */
  clean: boolean;
  /** The server lacks the dump's tablespaces: everything goes to the database's own. */
  noTablespaces: boolean;
  jobs: number;
  /** Holds `options.select`. */
  listFile: string | null;
};

/** What is restored, and how; the same for the SQL that is looked at beforehand and for the restore itself. */
export function selectionArgs({ options, noTablespaces, listFile }: Omit<ArchiveArgs, 'clean' | 'jobs'>): string[] {
  const { content, owner, privileges, tables, schemas } = options;
  return [
    ...(content === 'schema' ? ['--schema-only'] : []),
    ...(content === 'data' ? ['--data-only'] : []),
    ...tables.map((name) => `--table=${name}`),
    ...schemas.map((name) => `--schema=${name}`),
    // Without it a name that the dump has not restores nothing, and that succeeds.
    ...(tables.length + schemas.length > 0 ? ['--strict-names'] : []),
    ...(owner === 'dump' ? [] : ['--no-owner']),
    ...(typeof owner === 'object' ? [`--role=${owner.role}`] : []),
    ...(privileges ? [] : ['--no-privileges']),
    ...(noTablespaces ? ['--no-tablespaces'] : []),
    ...(listFile === null ? [] : [`--use-list=${listFile}`]),
  ];
}

/** @param path a file or a folder; null: it comes by standard input. */
export function archiveArgs(
  connection: ConnectionConfig,
  database: string,
  args: ArchiveArgs,
  path: string | null,
): string[] {
  return [
    ...connectionArgs(connection),
    `--dbname=${databaseArg(database)}`,
    ...selectionArgs(args),
    ...(args.clean ? ['--clean', '--if-exists'] : []),
    ...(args.options.singleTransaction ? ['--single-transaction'] : []),
    ...(args.jobs > 1 ? [`--jobs=${args.jobs}`] : []),
    ...(path === null ? [] : [path]),
  ];
}

/** `-X`: nobody's .psqlrc; the script comes by standard input. */
export function scriptArgs(connection: ConnectionConfig, database: string, singleTransaction: boolean): string[] {
  return [
    '-X',
    '-q',
    '-v',
    'ON_ERROR_STOP=1',
    ...connectionArgs(connection),
    `--dbname=${databaseArg(database)}`,
    ...(singleTransaction ? ['--single-transaction'] : []),
    '-f',
    '-',
  ];
}
