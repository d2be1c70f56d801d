import pg from 'pg';
import { throwIfAborted } from '../core/abort.ts';
import type { ConnectionConfig } from '../core/config.ts';
import { readPassword } from './password.ts';
import { connectError, sqlstateOf } from './sql-errors.ts';

export type SqlClient = pg.Client;

export type ClientOptions = {
  /** Shown in pg_stat_activity; PostgreSQL cuts it at 63 bytes. */
  applicationName?: string;
  /** Another database than the connection's. */
  database?: string;
  signal?: AbortSignal;
  /** The server gives up a statement after this long; 0: never. @defaultValue 30 */
  statementTimeoutSeconds?: number;
  /** @defaultValue 10 */
  connectTimeoutSeconds?: number;
  /** A walsender session, as base backups use it: pg_hba.conf and the role must allow it, and only its own commands work. */
  replication?: boolean;
};

/** A session that is logged in; an abort cuts it, now and later. */
export async function openSession(connection: ConnectionConfig, options: ClientOptions): Promise<SqlClient> {
  const config = await clientConfig(connection, options);
  try {
    return await login(config, encryptions(connection), options.signal);
  } catch (error) {
    throw connectError(error, { ...connection, database: config.database as string });
  }
}

/** Ends a session whatever state it is in: end() waits for the server's farewell, which a dead server never sends. */
export async function closeSession(client: SqlClient): Promise<void> {
  const { stream } = client.connection;
  const patience = setTimeout(() => stream.destroy(), 2000);
  try {
    await client.end();
  } catch {
    stream.destroy(); // the connection is broken already, and the result does not depend on its farewell
  } finally {
    clearTimeout(patience);
  }
}

async function clientConfig(connection: ConnectionConfig, options: ClientOptions): Promise<pg.ClientConfig> {
  const database = options.database ?? connection.database;
  const password = await readPassword({ ...connection, database });
  const statementTimeout = options.statementTimeoutSeconds ?? 30;
  return {
    host: serverAddress(connection),
    port: connection.port,
    user: connection.user,
    database,
    // A function, or pg looks into .pgpass itself, in a way that it deprecates.
    password: () => password as string,
    application_name: options.applicationName ?? 'pgproof',
    connectionTimeoutMillis: (options.connectTimeoutSeconds ?? 10) * 1000,
    statement_timeout: statementTimeout * 1000,
    // A stopped machine does not keep its own statement_timeout.
    ...(statementTimeout === 0 ? {} : { query_timeout: (statementTimeout + 5) * 1000 }),
    keepAlive: true,
    // pg reads times in ISO only; a role or a database may have another DateStyle.
    options: '-c datestyle=ISO',
    ...(options.replication ? { replication: 'true' } : {}),
  };
}

/** The socket's folder, or the host name. */
export function serverAddress({ socket, host }: ConnectionConfig): string {
  return (socket ?? host) as string;
}

type Encryption = pg.ClientConfig['ssl'];

/**
 * What to try, as libpq and so every tool does by itself (sslmode=prefer): encrypted where the server can, otherwise plain. PGSSLMODE
 * rules both; a socket needs none.
 */
function encryptions({ socket }: ConnectionConfig): Encryption[] {
  if (socket !== undefined) return [false];
  const mode = process.env.PGSSLMODE ?? 'prefer';
  return mode === 'prefer' ? [{ rejectUnauthorized: false }, false] : [undefined];
}

async function login(
  config: pg.ClientConfig,
  [ssl, ...others]: Encryption[],
  signal?: AbortSignal,
): Promise<SqlClient> {
  throwIfAborted(signal);
  const client = new pg.Client({ ...config, ssl });
  // A lost connection also fails the query that waits, and that is where it is answered; unheard it would end the process.
  client.on('error', () => {});
  const cut = () => client.connection.stream.destroy();
  signal?.addEventListener('abort', cut, { once: true });
  client.once('end', () => signal?.removeEventListener('abort', cut));
  try {
    await client.connect();
    return client;
  } catch (error) {
    await closeSession(client);
    if (others.length > 0 && mayWorkOtherwise(error)) return login(config, others, signal);
    throw error;
  }
}

/** The server cannot encrypt (pg's own words, there is no code), or pg_hba.conf has a line for plain connections only. */
function mayWorkOtherwise(error: unknown): boolean {
  return (error as Error).message === 'The server does not support SSL connections' || sqlstateOf(error) === '28000';
}
