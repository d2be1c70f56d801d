import * as z from 'zod';
import type { ConnectionConfig } from '../../core/config.ts';
import { query, queryOne, type SqlClient, withClient } from '../../postgres/client.ts';
import { supportedMajor } from '../../postgres/version.ts';
import type { TableName } from './needs.ts';

/** A database that is there already. */
export type FoundDatabase = {
  owner: string;
  encoding: string;
  collate: string;
  ctype: string;
  /** What users made in it, a sentence; null: it is empty. */
  holds: string | null;
  /** Of users. */
  tables: readonly TableName[];
  /** All of them. */
  schemas: readonly string[];
  /** Sessions of others. */
  sessions: number;
};

/** What a server has of what a dump may need. */
export type TargetServer = {
  major: number;
  /** As the server says it. */
  versionText: string;
  systemId: string | null;
  inRecovery: boolean;
  user: string;
  superuser: boolean;
  createdb: boolean;
  roles: readonly string[];
  /** Those of them that the user may act as. */
  memberOf: readonly string[];
  /** That could be made in a database. */
  extensions: readonly string[];
  tablespaces: readonly string[];
  encodings: readonly string[];
  /** Null: there is none of this name. */
  database: FoundDatabase | null;
};

type Options = { signal: AbortSignal };

/** @throws {PgproofError} `server-unreachable`, `server-refused`, `server-unsupported`, … */
export async function lookAtServer(
  connection: ConnectionConfig,
  database: string,
  { signal }: Options,
): Promise<TargetServer> {
  const server = await withClient(connection, (client) => askServer(client, database), { signal });
  if (server.database === null) return { ...server, database: null };
  const content = server.allowsConnections
    ? await withClient(connection, whatItHolds, { signal, database })
    : { holds: 'it takes no connections', tables: [], schemas: [] };
  return { ...server, database: { ...server.database, ...content } };
}

const names = z
  .array(z.string())
  .nullable()
  .transform((list) => list ?? []);
const serverRow = z.object({
  versionNumber: z.coerce.number(),
  versionText: z.string(),
  systemId: z.string().nullable(),
  inRecovery: z.boolean(),
  user: z.string(),
  superuser: z.boolean(),
  createdb: z.boolean(),
  roles: names,
  memberOf: names,
  extensions: names,
  tablespaces: names,
  encodings: names,
});
const databaseRow = z.object({
  owner: z.string(),
  encoding: z.string(),
  collate: z.string(),
  ctype: z.string(),
  sessions: z.coerce.number(),
  allowsConnections: z.boolean(),
});

async function askServer(client: SqlClient, database: string): Promise<TargetServer & { allowsConnections: boolean }> {
  const { versionNumber, ...server } = await queryOne(client, serverQuery, [], serverRow);
  const [found] = await query(client, databaseQuery, [database], databaseRow);
  return {
    ...server,
    major: supportedMajor(versionNumber, server.versionText),
    allowsConnections: found?.allowsConnections ?? true,
    database: found === undefined ? null : { ...found, holds: null, tables: [], schemas: [] },
  };
}

const serverQuery = `
  SELECT current_setting('server_version_num') AS "versionNumber", current_setting('server_version') AS "versionText",
         CASE WHEN has_function_privilege('pg_control_system()', 'EXECUTE')
              THEN (SELECT system_identifier::text FROM pg_control_system()) END AS "systemId",
         pg_is_in_recovery() AS "inRecovery", current_user::text AS user, rolsuper AS superuser,
         rolsuper OR rolcreatedb AS createdb,
         (SELECT array_agg(rolname::text) FROM pg_roles) AS roles,
         (SELECT array_agg(rolname::text) FROM pg_roles WHERE pg_has_role(oid, 'MEMBER')) AS "memberOf",
         (SELECT array_agg(name::text) FROM pg_available_extensions) AS extensions,
         (SELECT array_agg(spcname::text) FROM pg_tablespace) AS tablespaces,
         (SELECT array_agg(name) FROM (SELECT pg_encoding_to_char(n)::text AS name FROM generate_series(0, 41) AS n) AS e
           WHERE name <> '') AS encodings
    FROM pg_roles WHERE rolname = current_user`;

const databaseQuery = `
  SELECT pg_get_userbyid(datdba)::text AS owner, pg_encoding_to_char(encoding)::text AS encoding,
         datcollate::text AS collate, datctype::text AS ctype, datallowconn AS "allowsConnections",
         (SELECT count(*) FROM pg_stat_activity AS a WHERE a.datid = d.oid AND a.pid <> pg_backend_pid()
             AND coalesce(backend_type, 'client backend') = 'client backend') AS sessions
    FROM pg_database AS d WHERE datname = $1`;

/** What an extension brought, or what every database has, does not count. */
async function whatItHolds(client: SqlClient): Promise<Pick<FoundDatabase, 'holds' | 'tables' | 'schemas'>> {
  const row = z.object({ relations: z.coerce.number(), functions: z.coerce.number(), schemas: z.coerce.number() });
  const { relations, functions, schemas } = await queryOne(client, contentQuery, [], row);
  const parts = [
    [relations, 'table, view or sequence', 'tables, views and sequences'],
    [functions, 'function', 'functions'],
    [schemas, 'schema', 'schemas'],
  ] as const;
  const there = parts
    .filter(([count]) => count > 0)
    .map(([count, one, many]) => `${count} ${count === 1 ? one : many}`);
  const tables = await query(client, userTables, [], z.object({ schema: z.string(), name: z.string() }));
  const found = await query(
    client,
    'SELECT nspname::text AS name FROM pg_namespace',
    [],
    z.object({ name: z.string() }),
  );
  return {
    holds: there.length === 0 ? null : `it holds ${there.join(', ')}`,
    tables,
    schemas: found.map(({ name }) => name),
  };
}

const ofUsers = (column: string): string =>
  `${column} NOT IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%' OR nspname = 'information_schema')`;
const ownExtension = (catalogue: string, oid: string): string =>
  `EXISTS (SELECT FROM pg_depend WHERE classid = '${catalogue}'::regclass AND objid = ${oid} AND deptype = 'e')`;

const contentQuery = `
  SELECT (SELECT count(*) FROM pg_class AS c WHERE ${ofUsers('relnamespace')} AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
            AND NOT ${ownExtension('pg_class', 'c.oid')}) AS relations,
         (SELECT count(*) FROM pg_proc AS p WHERE ${ofUsers('pronamespace')}
            AND NOT ${ownExtension('pg_proc', 'p.oid')}) AS functions,
         (SELECT count(*) FROM pg_namespace AS n WHERE ${ofUsers('n.oid')} AND nspname <> 'public'
            AND NOT ${ownExtension('pg_namespace', 'n.oid')}) AS schemas`;

/** Tables of users: what a restore is counted by. */
export const userTables = `
  SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
   WHERE ${ofUsers('relnamespace')} AND relkind IN ('r', 'p') AND NOT ${ownExtension('pg_class', 'c.oid')}`;

/**
 * Why the server knows no such locale; null: it does, or nothing can be known.
 */
export async function refusedLocale(
  connection: ConnectionConfig,
  { collate, ctype }: { collate: string | null; ctype: string | null },
  { signal }: Options,
): Promise<string | null> {
  if (collate === null || ctype === null) return null;
  return withClient(
    connection,
    async (client) => {
      // Made and taken back: nothing of it is seen by anybody.
      await client.query('BEGIN');
      try {
        const name = `pg_temp.pgproof_probe_${process.pid}`;
        const parts = [`lc_collate = ${client.escapeLiteral(collate)}`, `lc_ctype = ${client.escapeLiteral(ctype)}`];
        await client.query(`CREATE COLLATION ${name} (${parts.join(', ')})`);
        return null;
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        // 42704: no such locale. 42501: may not make temporary objects. Others: an encoding that does not fit this database.
        return code === '42704' || /could not create locale/.test(message) ? message : null;
      } finally {
        await client.query('ROLLBACK');
      }
    },
    { signal },
  );
}
