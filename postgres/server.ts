import * as z from 'zod';
import type { ConnectionConfig } from '../core/config.ts';
import { type Lsn, parseLsn } from '../core/lsn.ts';
import type { TimelineId } from '../core/segment.ts';
import type { BackupRecord } from '../repository/record.ts';
import { type ClientOptions, query, queryOne, type SqlClient, withClient } from './client.ts';
import { readPlatform } from './platform.ts';
import { supportedMajor } from './version.ts';

export type Tablespace = { oid: string; name: string; path: string };

/** What a running server says of itself. */
export type ServerFacts = {
  systemId: string;
  major: number;
  /** As the server says it, e.g. `15.18 (Debian 15.18-0+deb12u1)`. */
  versionText: string;
  segmentBytes: number;
  inRecovery: boolean;
  timeline: TimelineId;
  /** Where the next record goes; on a standby, how far replay has come. */
  insertLsn: Lsn;
  /** The server's clock, ISO-8601 UTC; on a standby never before the last commit it has replayed, by the primary's clock. */
  clock: string;
  /** Null when the role may not see it: pg_read_all_settings is missing. */
  dataDirectory: string | null;
  /** The settings that pgproof reads, by name, in pg_settings' own units; absent where the role may not see one or the major has none. */
  settings: Record<string, string>;
  /** Extra tablespaces; pg_default and pg_global lie in the data directory. */
  tablespaces: Tablespace[];
  platform: BackupRecord['platform'];
};

/** Every setting that something in pgproof reads. */
const settingNames = [
  'archive_command',
  'archive_library',
  'archive_mode',
  'archive_timeout',
  'config_file',
  'data_checksums',
  'data_directory',
  'full_page_writes',
  'hba_file',
  'ident_file',
  'max_connections',
  'max_locks_per_transaction',
  'max_prepared_transactions',
  'max_wal_senders',
  'max_worker_processes',
  'port',
  'server_version',
  'server_version_num',
  'shared_preload_libraries',
  'unix_socket_directories',
  'wal_level',
  'wal_segment_size',
];

/**
 * Asks the server what it is. A role with LOGIN alone gets an answer; what it may not see is absent from `settings`.
 * @throws {PgproofError} `server-unsupported` for a major outside 13 to 18; and whatever `withClient` throws.
 */
export async function inspectServer(connection: ConnectionConfig, options: ClientOptions = {}): Promise<ServerFacts> {
  return withClient(connection, inspectSession, options);
}

/** The same in a session that is there already. */
export async function inspectSession(client: SqlClient): Promise<ServerFacts> {
  const settings = await readSettings(client);
  const versionText = settings.server_version ?? '';
  const major = supportedMajor(Number(settings.server_version_num), versionText);
  const position = await readPosition(client);
  const { system_identifier: systemId } = await queryOne(
    client,
    'SELECT system_identifier::text FROM pg_control_system()',
    [],
    z.object({ system_identifier: z.string() }),
  );
  return {
    systemId,
    major,
    versionText,
    segmentBytes: Number(settings.wal_segment_size),
    ...position,
    dataDirectory: settings.data_directory ?? null,
    settings,
    tablespaces: await readTablespaces(client),
    platform: await readPlatform(client, major, settings),
  };
}

async function readSettings(client: SqlClient): Promise<Record<string, string>> {
  const rows = await query(
    client,
    'SELECT name, setting FROM pg_settings WHERE name = ANY ($1)',
    [settingNames],
    z.object({ name: z.string(), setting: z.string().nullable() }),
  );
  return Object.fromEntries(rows.flatMap(({ name, setting }) => (setting === null ? [] : [[name, setting]])));
}

const positionRow = z.object({
  recovery: z.boolean(),
  lsn: z.string().nullable(),
  timeline: z.number().int(),
  clock: z.iso.datetime(),
});

/**
 * The timeline that is written comes from the insert position's file name: pg_control still has the old one until the first
 * checkpoint after a promotion.
 */
async function readPosition(
  client: SqlClient,
): Promise<Pick<ServerFacts, 'inRecovery' | 'insertLsn' | 'timeline' | 'clock'>> {
  const row = await queryOne(
    client,
    `SELECT recovery, clock,
            CASE WHEN recovery THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text AS lsn,
            CASE WHEN recovery THEN (SELECT timeline_id FROM pg_control_checkpoint())
                 ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END AS timeline
       FROM (SELECT pg_is_in_recovery() AS recovery,
                    to_char(CASE WHEN pg_is_in_recovery() THEN greatest(clock_timestamp(), pg_last_xact_replay_timestamp())
                                 ELSE clock_timestamp() END AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS clock) AS now`,
    [],
    positionRow,
  );
  return { inRecovery: row.recovery, insertLsn: parseLsn(row.lsn ?? '0/0'), timeline: row.timeline, clock: row.clock };
}

async function readTablespaces(client: SqlClient): Promise<Tablespace[]> {
  return query(
    client,
    `SELECT oid::text, spcname AS name, pg_tablespace_location(oid) AS path
       FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY oid`,
    [],
    z.object({ oid: z.string(), name: z.string(), path: z.string() }),
  );
}
