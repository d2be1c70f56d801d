import * as z from 'zod';
import { query, type SqlClient, withClient } from '../postgres/client.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { copyName } from './basebackup.ts';

/**
 * Ends the walsenders of copies of ours that are not ours any more: their pg_basebackup was killed, and a walsender that waits
 * for the archiver notices only when it has something to say, which it does ever more seldom. Call it under the cluster's lock, where no other copy is rightful.
 */
export async function endStrayCopies(cluster: ProtectedCluster, signal: AbortSignal): Promise<void> {
  await withClient(cluster.config.connection, terminate, { signal });
}

/** Whether the copy has ended as far as the server goes, and only the WAL is still to be archived. */
export async function awaitsArchiver(cluster: ProtectedCluster, id: string): Promise<boolean> {
  const ask = (client: SqlClient) =>
    query(
      client,
      `SELECT phase FROM pg_stat_progress_basebackup JOIN pg_stat_activity USING (pid) WHERE application_name = $1`,
      [copyName(id)],
      z.object({ phase: z.string().nullable() }),
    );
  const phases = await withClient(cluster.config.connection, ask, { statementTimeoutSeconds: 10 });
  return phases.some(({ phase }) => phase === 'waiting for wal archiving to finish');
}

async function terminate(client: SqlClient): Promise<void> {
  await query(
    client,
    `SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
      WHERE backend_type = 'walsender' AND usename = current_user AND application_name ~ '^pgproof \\d{8}T\\d{6}Z-full-'`,
    [],
    z.object({ ended: z.boolean() }),
  );
}
