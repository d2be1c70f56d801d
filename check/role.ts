import pg from 'pg';
import type { ConnectionConfig } from '../core/config.ts';

/*
 * The least-privilege role: everything pgproof does in a server, it does with these rights. A test runs the whole product with
 * them (test/check/role.test.ts).
 */

/** A right by PostgreSQL's name, what it is for, and the statement that grants it. */
export type Right = { what: string; reason: string; grant: string };

/** Each right the role needs, in the order in which they are granted, in the connection's database. */
export function neededRights({
  user,
  database,
}: Pick<ConnectionConfig, 'user' | 'database'>): Record<RightName, Right> {
  const role = pg.escapeIdentifier(user);
  const execute = (routine: string, reason: string): Right => ({
    what: `EXECUTE on ${routine}`,
    reason,
    grant: `GRANT EXECUTE ON FUNCTION ${routine} TO ${role};`,
  });
  return {
    replication: { what: 'REPLICATION', reason: 'base backups', grant: `ALTER ROLE ${role} LOGIN REPLICATION;` },
    monitor: {
      what: 'membership of pg_monitor',
      reason: 'settings and sessions that are hidden otherwise',
      grant: `GRANT pg_monitor TO ${role};`,
    },
    connect: {
      what: `CONNECT on database ${database}`,
      reason: 'sessions',
      grant: `GRANT CONNECT ON DATABASE ${pg.escapeIdentifier(database)} TO ${role};`,
    },
    'switch-wal': execute('pg_switch_wal()', 'finishing a WAL segment'),
    'restore-point': execute('pg_create_restore_point(text)', 'restore points'),
    schema: {
      what: 'ownership of schema pgproof',
      reason: 'heartbeat and drill markers',
      grant: `CREATE SCHEMA IF NOT EXISTS pgproof; ALTER SCHEMA pgproof OWNER TO ${role};`,
    },
  };
}

export type RightName = 'replication' | 'monitor' | 'connect' | 'switch-wal' | 'restore-point' | 'schema';

/**
 * Makes the role with all its rights; may be run again. Rights on functions belong to a database, so it must run in that one.
 * @param dumps whether it dumps databases: then it reads all data. Before PostgreSQL 14 there is no such right, and `check` names the tables.
 */
export function roleSql(connection: Pick<ConnectionConfig, 'user' | 'database'>, dumps = false): string {
  const role = pg.escapeIdentifier(connection.user);
  const literal = pg.escapeLiteral(connection.user);
  const lines = Object.values(neededRights(connection)).map(({ grant, reason }) => `${grant}  -- ${reason}`);
  return [
    `-- as a superuser, in database ${pg.escapeIdentifier(connection.database)}`,
    `DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal}) THEN CREATE ROLE ${role}; END IF; END $do$;`,
    ...lines,
    ...(dumps
      ? [
          `DO $do$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_read_all_data') THEN GRANT pg_read_all_data TO ${role}; END IF; END $do$;  -- dumps`,
        ]
      : []),
    '',
  ].join('\n');
}
