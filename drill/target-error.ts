import * as z from 'zod';
import type { ConnectionConfig } from '../core/config.ts';
import { query, queryOne, type SqlClient, withClient } from '../postgres/client.ts';
import { heartbeatTable } from '../wal/heartbeat.ts';
import type { Probe } from './probe.ts';

/**
 * How much older than the restore point the newest heartbeat in the restored server is, in seconds; null where it has none.
 * It bounds by how much the restore missed its target. Both times are the primary's clock.
 */
export async function measureTargetError(
  server: ConnectionConfig,
  { at }: Probe,
  signal: AbortSignal,
): Promise<number | null> {
  const beatAt = await withClient(server, readBeat, { signal });
  return beatAt === null ? null : Math.max(0, (Date.parse(at) - Date.parse(beatAt)) / 1000);
}

async function readBeat(client: SqlClient): Promise<string | null> {
  const sql = `SELECT to_regclass('${heartbeatTable}') IS NOT NULL AS installed`;
  const { installed } = await queryOne(client, sql, [], z.object({ installed: z.boolean() }));
  if (!installed) return null;
  const newest = `SELECT to_char(max(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at FROM ${heartbeatTable}`;
  const [row] = await query(client, newest, [], z.object({ at: z.iso.datetime().nullable() }));
  return row?.at ?? null;
}
