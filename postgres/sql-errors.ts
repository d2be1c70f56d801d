import pg from 'pg';
import type { ConnectionConfig } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';

/* PostgreSQL's errors as ours, by SQLSTATE and never by text. Source: PostgreSQL documentation, appendix A. */

/** Why no session came about. */
export function connectError(error: unknown, connection: ConnectionConfig): PgproofError {
  if (error instanceof PgproofError) return error;
  const { user, database, port } = connection;
  const server = connection.socket ?? connection.host ?? '';
  const facts = { server, port, user, database, sqlstate: sqlstateOf(error) };
  const message = (error as Error).message || String((error as NodeJS.ErrnoException).code);
  const at = connection.socket === undefined ? `${server}:${port}` : `${server}/.s.PGSQL.${port}`;

  if (message.startsWith('SASL') && message.includes('password must be')) {
    return new PgproofError(
      'password-missing',
      `the server at ${at} wants a password for role '${user}', and there is none`,
      {
        facts,
        hint: 'Give connection.password as {file: …} or {env: …}, or add a line to .pgpass (mode 0600).',
        cause: error,
      },
    );
  }
  if (!isRefusal(facts.sqlstate)) {
    return new PgproofError('server-unreachable', `no connection to the PostgreSQL server at ${at}: ${message}`, {
      facts,
      hint: unreachableHint(error, connection),
      cause: error,
    });
  }
  return new PgproofError(
    'server-refused',
    `the server at ${at} refuses role '${user}' to database '${database}': ${message}`,
    {
      facts,
      hint: refusedHint(facts.sqlstate as string, message, user),
      cause: error,
    },
  );
}

/** Why a statement failed. The statement's text is not a fact: it may hold what the caller would not want in a log. */
export function sqlError(error: unknown, sql: string): PgproofError {
  if (error instanceof PgproofError) return error;
  const sqlstate = sqlstateOf(error);
  const message = (error as Error).message;
  const facts = { sqlstate, statement: sql.trim().split(/\s+/, 1)[0]?.toUpperCase() ?? '' };
  if (sqlstate === '42501') {
    return new PgproofError('rights-missing', `the role lacks a right: ${message}`, {
      facts,
      hint: 'Run `pgproof check`: it prints the statement that grants what is missing.',
      cause: error,
    });
  }
  if (sqlstate === '57014')
    return new PgproofError('timeout', `the statement was cancelled: ${message}`, { facts, cause: error });
  if (sqlstate === null || isGone(sqlstate)) {
    return new PgproofError('server-unreachable', `the connection was lost: ${message}`, { facts, cause: error });
  }
  return new PgproofError('sql-failed', `the statement failed: ${message}`, { facts, cause: error });
}

export function sqlstateOf(error: unknown): string | null {
  return error instanceof pg.DatabaseError ? (error.code ?? null) : null;
}

/** 28: authorisation; 3D: no such database; 42501: no CONNECT right. Everything else may pass: starting up, too many sessions, shutting down. */
function isRefusal(sqlstate: string | null): boolean {
  return sqlstate !== null && (sqlstate.startsWith('28') || sqlstate.startsWith('3D') || sqlstate === '42501');
}

/** 08: connection exception; 57P0x: the server shuts down, crashed or does not yet take sessions. */
function isGone(sqlstate: string): boolean {
  return sqlstate.startsWith('08') || sqlstate.startsWith('57P');
}

function unreachableHint(error: unknown, { socket, port }: ConnectionConfig): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (socket !== undefined && code === 'ENOENT') {
    return `There is no socket of port ${port} in ${socket}. Is PostgreSQL running, and is this its unix_socket_directories?`;
  }
  if (code === 'EACCES')
    return `This user may not enter ${socket}. Run pgproof as the user that owns the data directory.`;
  if (code === 'ENOTFOUND') return 'The host name has no address. Correct connection.host.';
  return 'Is PostgreSQL running there, and are connection.host, socket and port right?';
}

function refusedHint(sqlstate: string, message: string, user: string): string {
  if (sqlstate === '28P01')
    return `The password of '${user}' is wrong. Correct the file, the variable or .pgpass that connection.password uses.`;
  if (sqlstate === '3D000') return 'Correct connection.database: it names the database that holds the schema pgproof.';
  if (sqlstate === '42501') return `Run in that database, as a superuser: GRANT CONNECT ON DATABASE … TO "${user}";`;
  if (message.includes('pg_hba.conf'))
    return `Add a line for role ${user} to pg_hba.conf and reload the server: SELECT pg_reload_conf();`;
  return `Is there such a role? (What \`pgproof init\` prints makes pgproof's own.) If so, let pg_hba.conf (and pg_ident.conf for peer) admit '${user}'.`;
}
