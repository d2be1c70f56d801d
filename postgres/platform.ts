import * as z from 'zod';
import type { BackupRecord } from '../repository/record.ts';
import { query, queryOne, type SqlClient } from './client.ts';

type Platform = BackupRecord['platform'];

/** Recovery with queries refuses to start where one of these is lower than it was on the primary. */
const minimumNames = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
];

/**
 * What a restored copy depends on outside its files: libraries that order text (an index built by another libc is broken in
 * silence), libraries loaded at start, and settings that recovery demands.
 */
export async function readPlatform(
  client: SqlClient,
  major: number,
  settings: Record<string, string>,
): Promise<Platform> {
  return {
    ...(await readLibraries(client)),
    collations: await readCollations(client, major),
    preloadLibraries: settings.shared_preload_libraries ?? '',
    minimums: Object.fromEntries(minimumNames.map((name) => [name, Number(settings[name])])),
  };
}

/** The versions that the server's own libraries give to a collation of theirs; the C locales have none. */
async function readLibraries(client: SqlClient): Promise<Pick<Platform, 'libc' | 'icu'>> {
  return queryOne(
    client,
    `SELECT max(version) FILTER (WHERE provider = 'c') AS libc, max(version) FILTER (WHERE provider = 'i') AS icu
       FROM (SELECT collprovider AS provider, pg_collation_actual_version(oid) AS version FROM pg_collation
              WHERE collprovider IN ('c', 'i') AND collname NOT IN ('C', 'POSIX', 'default')
              ORDER BY collprovider = 'i' LIMIT 2000) AS known`,
    [],
    z.object({ libc: z.string().nullable(), icu: z.string().nullable() }),
  );
}

/** The default collation of each database: before 15 PostgreSQL did not note its version, and there was only libc. */
async function readCollations(client: SqlClient, major: number): Promise<Platform['collations']> {
  const provider =
    major >= 15 ? `CASE datlocprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END` : `'libc'`;
  const locale =
    major >= 17 ? 'coalesce(datlocale, datcollate)' : major >= 15 ? 'coalesce(daticulocale, datcollate)' : 'datcollate';
  const version = major >= 15 ? 'datcollversion' : 'NULL::text';
  return query(
    client,
    `SELECT datname AS database, ${provider} AS provider, ${locale} AS locale, ${version} AS version
       FROM pg_database WHERE datallowconn ORDER BY datname`,
    [],
    z.object({
      database: z.string(),
      provider: z.string(),
      locale: z.string().nullable(),
      version: z.string().nullable(),
    }),
  );
}
