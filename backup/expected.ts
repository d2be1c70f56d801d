import * as z from 'zod';
import { hasCode } from '../core/errors.ts';
import { queryOne, type SqlClient, withClient } from '../postgres/client.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';

/**
 * The size of all tablespaces, in bytes: about what a copy comes to. Null when the role may not ask (pg_read_all_stats), or
 * the server does not know soon: it looks at every file of every database, and no backup should fail for that.
 */
export async function expectedBytes(
  cluster: ProtectedCluster,
  signal: AbortSignal,
  patienceSeconds = 120,
): Promise<number | null> {
  const options = { signal, statementTimeoutSeconds: patienceSeconds };
  return withClient(cluster.config.connection, askSize, options).catch((error: unknown) => {
    if (hasCode(error, 'timeout') && !signal.aborted) return null;
    throw error;
  });
}

async function askSize(client: SqlClient): Promise<number | null> {
  const { bytes } = await queryOne(
    client,
    `SELECT CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE')
                 THEN (SELECT sum(pg_tablespace_size(oid)) FROM pg_tablespace) END::text AS bytes`,
    [],
    z.object({ bytes: z.string().nullable() }),
  );
  return bytes === null ? null : Number(bytes);
}
