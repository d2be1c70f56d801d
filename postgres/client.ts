import * as z from 'zod';
import { abortReason } from '../core/abort.ts';
import type { ConnectionConfig } from '../core/config.ts';
import { type ClientOptions, closeSession, openSession, type SqlClient, serverAddress } from './session.ts';
import { sqlError } from './sql-errors.ts';

export { secretEnv } from './password.ts';
export { type ClientOptions, type SqlClient, serverAddress } from './session.ts';

/**
 * Runs `use` with a session of its own, which ends with it. When the signal aborts, the connection is cut and every
 * waiting query fails with the signal's reason.
 * @throws {PgproofError} `server-unreachable`, `server-refused`, `password-missing`, `password-open`; from queries
 * `rights-missing`, `sql-failed`, `timeout`.
 */
export async function withClient<T>(
  connection: ConnectionConfig,
  use: (client: SqlClient) => Promise<T>,
  options: ClientOptions = {},
): Promise<T> {
  try {
    const client = await openSession(connection, options);
    try {
      return await use(client);
    } finally {
      await closeSession(client);
    }
  } catch (error) {
    throw options.signal?.aborted ? abortReason(options.signal) : error;
  }
}

/**
 * Runs one statement and checks its rows.
 * @throws {PgproofError} `rights-missing`, `sql-failed`, `timeout`, `server-unreachable`; the facts hold the SQLSTATE.
 */
export async function query<Row extends z.ZodType>(
  client: SqlClient,
  sql: string,
  params: readonly unknown[],
  row: Row,
): Promise<z.output<Row>[]> {
  const rows = await execute(client, sql, params);
  return z.array(row).parse(rows);
}

/** The only row of a statement that has exactly one. */
export async function queryOne<Row extends z.ZodType>(
  client: SqlClient,
  sql: string,
  params: readonly unknown[],
  row: Row,
): Promise<z.output<Row>> {
  const [only] = z.tuple([row]).parse(await execute(client, sql, params));
  return only as z.output<Row>;
}

/** Runs one statement whose rows nobody wants. */
export async function execute(client: SqlClient, sql: string, params: readonly unknown[] = []): Promise<unknown[]> {
  try {
    return (await client.query(sql, [...params])).rows;
  } catch (error) {
    throw sqlError(error, sql);
  }
}

/** Where the server is, as every PostgreSQL tool takes it. `-w`: a tool must never ask for a password, it would wait for ever. */
export function connectionArgs(connection: ConnectionConfig): string[] {
  return ['-h', serverAddress(connection), '-p', String(connection.port), '-U', connection.user, '-w'];
}
