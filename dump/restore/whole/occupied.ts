import * as z from 'zod';
import type { ConnectionConfig } from '../../../core/config.ts';
import { query, withClient } from '../../../postgres/client.ts';
import { lookAtServer } from '../server.ts';
import type { Occupied } from './fit.ts';

const sql = 'SELECT datname::text AS name FROM pg_database ORDER BY name';

/** Templates, too. @throws {PgproofError} `server-unreachable`, … */
export async function databasesOf(connection: ConnectionConfig, signal: AbortSignal): Promise<string[]> {
  const row = z.object({ name: z.string() });
  return (await withClient(connection, (client) => query(client, sql, [], row), { signal })).map(({ name }) => name);
}

/** What is in the server that a new one has not. @throws {PgproofError} `server-unreachable`, … */
export async function lookWhatOccupies(connection: ConnectionConfig, signal: AbortSignal): Promise<Occupied> {
  const holds: Record<string, string | null> = {};
  for (const name of ['template1', 'postgres']) {
    const { database } = await lookAtServer(connection, name, { signal });
    holds[name] = database === null ? 'nothing is: it is not there' : database.holds;
  }
  return { databases: await databasesOf(connection, signal), holds };
}
