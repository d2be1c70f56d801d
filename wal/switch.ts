import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import { formatLsn, type Lsn, lsnPosition, parseLsn } from '../core/lsn.ts';
import { type SegmentName, segmentNameAt } from '../core/segment.ts';
import { queryOne, withClient } from '../postgres/client.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';

type Options = { signal?: AbortSignal };

export type WalSwitch = {
  /** The segment that ended; on an idle server the one that had ended before. */
  segment: SegmentName;
  /** The first position behind its last record. */
  lsn: Lsn;
};

/**
 * Ends the current segment, so that it is archived now and not after archive_timeout. Where nothing was written since the
 * last switch, PostgreSQL does nothing.
 * @throws {PgproofError} `rights-missing` without EXECUTE on pg_switch_wal; `server-unreachable`, `sql-failed`.
 */
export async function switchWal(cluster: Pick<ProtectedCluster, 'config'>, options: Options = {}): Promise<WalSwitch> {
  const row = await withClient(
    cluster.config.connection,
    (client) =>
      queryOne(
        client,
        // The timeline before the switch: on a boundary the name of the file differs between majors.
        `SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline,
                pg_size_bytes(current_setting('wal_segment_size'))::int AS bytes,
                pg_switch_wal()::text AS lsn`,
        [],
        z.object({ timeline: z.string(), bytes: z.number().int(), lsn: z.string() }),
      ),
    options,
  );
  const lsn = parseLsn(row.lsn);
  const lastByte = formatLsn(lsnPosition(lsn) - 1n);
  return { segment: segmentNameAt(lastByte, Number.parseInt(row.timeline, 16), row.bytes), lsn };
}

export type RestorePoint = {
  lsn: Lsn;
  /** The server's clock just before it was written, ISO-8601 UTC. */
  at: string;
};

/**
 * Writes a named point into the WAL, to restore to by `name:`. It is in the archive once its segment is.
 * @throws {PgproofError} `usage` for a name that PostgreSQL would cut; `rights-missing` without EXECUTE on pg_create_restore_point.
 */
export async function createRestorePoint(
  cluster: Pick<ProtectedCluster, 'config'>,
  name: string,
  options: Options = {},
): Promise<RestorePoint> {
  checkRestorePointName(name);
  const row = await withClient(
    cluster.config.connection,
    (client) =>
      queryOne(
        client,
        `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at,
                pg_create_restore_point($1)::text AS lsn`,
        [name],
        z.object({ at: z.string(), lsn: z.string() }),
      ),
    options,
  );
  return { lsn: parseLsn(row.lsn), at: row.at };
}

/** Source: PostgreSQL src/include/access/xlog_internal.h, MAXFNAMELEN is 64 with its final zero. */
function checkRestorePointName(name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes >= 1 && bytes <= 63 && !hasControlCharacter(name)) return;
  throw new PgproofError('usage', `'${name}' cannot be the name of a restore point`, {
    facts: { name, bytes },
    hint: 'Give 1 to 63 bytes without control characters.',
  });
}

const hasControlCharacter = (text: string): boolean => [...text].some((char) => char < ' ' || char === '\x7f');
