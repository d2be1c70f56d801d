import * as z from 'zod';
import { query, queryOne, type SqlClient, withClient } from '../postgres/client.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';

/** How the sessions of an attempt are called in pg_stat_activity. */
export const dumpName = (id: string): string => `pgproof ${id}`;

/**
 * Ends the sessions of attempts that are over. One that waits for a lock, or computes, does not notice that its client is gone; and it
 * holds locks on every table that was to be dumped.
 */
export async function endSessions(
  cluster: ProtectedCluster,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const terminate = (client: SqlClient) =>
    query(
      client,
      `SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
        WHERE usename = current_user AND application_name = ANY ($1)`,
      [ids.map(dumpName)],
      z.object({ ended: z.boolean() }),
    );
  await withClient(cluster.config.connection, terminate, { signal });
}

/** How many queries of this database were cancelled on this standby because they were in the way of replay. */
export async function recoveryConflicts(
  cluster: ProtectedCluster,
  database: string,
  signal: AbortSignal,
): Promise<number> {
  const ask = (client: SqlClient) =>
    queryOne(
      client,
      `SELECT (SELECT confl_tablespace + confl_lock + confl_snapshot + confl_bufferpin + confl_deadlock
                 FROM pg_stat_database_conflicts WHERE datname = $1)::int AS count`,
      [database],
      z.object({ count: z.number().nullable() }),
    );
  return (await withClient(cluster.config.connection, ask, { signal })).count ?? 0;
}
