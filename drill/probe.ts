import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import type { RunId } from '../core/ids.ts';
import type { Lsn } from '../core/lsn.ts';
import type { Run } from '../core/run.ts';
import { execute, query, queryOne, type SqlClient, withClient } from '../postgres/client.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { createRestorePoint, switchWal } from '../wal/switch.ts';

/** What was written into the primary for a drill to look for. */
export type Probe = {
  drillId: RunId;
  /** Its name: the target of the drill. */
  restorePoint: string;
  /** Just behind the restore point's record. */
  lsn: Lsn;
  /** The server's clock when it was written. */
  at: string;
  /** Just behind all that the probe wrote: up to here WAL must be in the repository before the drill begins. */
  endLsn: Lsn;
};

export type Marker = 'A' | 'B';

/**
 * Row A, restore point, row B, WAL switch. A restore to the point must have A and must not have B. Touches only schema
 * `pgproof`.
 * @throws {PgproofError} `schema-missing`, `rights-missing`, `server-unreachable`, `sql-failed`, `timeout`.
 */
export async function writeProbe(cluster: ProtectedCluster, drillId: RunId, { signal }: Run): Promise<Probe> {
  const restorePoint = `pgproof-${drillId}`;
  await writeMarker(cluster, drillId, 'A', signal);
  const { lsn, at } = await createRestorePoint(cluster, restorePoint, { signal });
  await writeMarker(cluster, drillId, 'B', signal);
  const { lsn: endLsn } = await switchWal(cluster, { signal });
  return { drillId, restorePoint, lsn, at, endLsn };
}

/** The markers of a drill that this session's server holds. */
export async function readMarkers(client: SqlClient, drillId: RunId): Promise<Marker[]> {
  const sql = 'SELECT marker FROM pgproof.drill_marker WHERE drill = $1 ORDER BY marker';
  const rows = await query(client, sql, [drillId], z.object({ marker: z.enum(['A', 'B']) }));
  return rows.map(({ marker }) => marker);
}

/** Takes the drill's rows away again, and those that killed drills left more than a day ago. */
export async function eraseMarkers(cluster: ProtectedCluster, drillId: RunId, signal?: AbortSignal): Promise<void> {
  await withSession(cluster, signal, async (client) => {
    if (!(await hasTable(client, cluster))) return;
    const old = `at < clock_timestamp() - interval '1 day'`;
    await execute(client, `DELETE FROM pgproof.drill_marker WHERE drill = $1 OR ${old}`, [drillId]);
  });
}

async function writeMarker(
  cluster: ProtectedCluster,
  drillId: RunId,
  marker: Marker,
  signal: AbortSignal,
): Promise<void> {
  await withSession(cluster, signal, async (client) => {
    if (!(await hasTable(client, cluster))) await createTable(client);
    await execute(client, 'INSERT INTO pgproof.drill_marker (drill, marker) VALUES ($1, $2)', [drillId, marker]);
  });
}

/** A marker must not wait for a standby that is away: it is WAL, not the application's data. */
async function withSession<T>(
  cluster: ProtectedCluster,
  signal: AbortSignal | undefined,
  use: (client: SqlClient) => Promise<T>,
): Promise<T> {
  const work = async (client: SqlClient): Promise<T> => {
    await execute(client, 'SET synchronous_commit = local');
    return use(client);
  };
  return withClient(cluster.config.connection, work, signal === undefined ? {} : { signal });
}

/** Asked first: CREATE TABLE IF NOT EXISTS wants the right to create also where there is nothing to create. */
async function hasTable(client: SqlClient, cluster: ProtectedCluster): Promise<boolean> {
  const row = z.object({ schema: z.boolean(), table: z.boolean() });
  const sql = `SELECT to_regnamespace('pgproof') IS NOT NULL AS schema,
                      EXISTS (SELECT FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
                               WHERE nspname = 'pgproof' AND relname = 'drill_marker') AS table`;
  const { schema, table } = await queryOne(client, sql, [], row);
  if (schema) return table;
  const { database } = cluster.config.connection;
  throw new PgproofError(
    'schema-missing',
    `database '${database}' has no schema pgproof, where a drill puts its markers`,
    {
      facts: { database },
      hint: `Run the SQL that \`pgproof init\` printed, then: pgproof heartbeat install ${cluster.name}`,
    },
  );
}

async function createTable(client: SqlClient): Promise<void> {
  await execute(
    client,
    `CREATE TABLE IF NOT EXISTS pgproof.drill_marker (
       drill text NOT NULL,
       marker text NOT NULL CHECK (marker IN ('A', 'B')),
       at timestamptz NOT NULL DEFAULT clock_timestamp(),
       PRIMARY KEY (drill, marker))`,
  );
}
