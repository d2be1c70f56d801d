import * as z from 'zod';
import type { ConnectionConfig } from '../core/config.ts';
import { asPgproofError } from '../core/errors.ts';
import type { ServerRole } from '../core/placing.ts';
import { queryOne, withClient } from './client.ts';

type Options = { signal?: AbortSignal };

/** A server that hangs is down for whoever looks for another one. */
const patience = { connectTimeoutSeconds: 5, statementTimeoutSeconds: 5 };

const row = z.object({ standby: z.boolean(), receives: z.boolean(), paused: z.boolean() });

/** What the server is at this moment. Only an abort is thrown. */
export async function askRole(connection: ConnectionConfig, options: Options = {}): Promise<ServerRole> {
  try {
    const server = await withClient(connection, (client) => queryOne(client, roleQuery, [], row), {
      ...patience,
      ...options,
    });
    if (!server.standby) return { role: 'primary', unfit: null };
    return { role: 'standby', unfit: unfitness(server) };
  } catch (error) {
    if (options.signal?.aborted) throw error;
    return { role: 'down', unfit: asPgproofError(error).message };
  }
}

/** The receiver's details are for roles with more rights; that it is there, everybody sees. */
const roleQuery = `
  SELECT pg_is_in_recovery() AS standby,
         EXISTS (SELECT FROM pg_stat_wal_receiver) AS receives,
         CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END AS paused`;

/** A backup of what the standby holds would be whole, and older than anybody expects. */
function unfitness({ receives, paused }: z.output<typeof row>): string | null {
  if (paused) return 'its replay is paused';
  return receives ? null : 'it receives no WAL from a primary';
}
