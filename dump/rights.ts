import pg from 'pg';
import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import { query, queryOne, type SqlClient } from '../postgres/client.ts';
import type { DumpTarget } from './target.ts';

const row = z.object({ name: z.string(), why: z.enum(['denied', 'hidden']), count: z.number() });

/**
 * Refuses what pg_dump would refuse, some of it hours later: a table that the role may not read, or of which it sees only some rows. A
 * smaller dump would be a lie. Where tables are selected by patterns, pg_dump alone knows which.
 * @throws {PgproofError} `rights-missing` with the tables and the statement that helps.
 */
export async function refuseUnreadable(
  client: SqlClient,
  { options, database }: DumpTarget,
  { user, major }: { user: string; major: number },
): Promise<void> {
  const { content, tables, excludeTables, excludeTableData, schemas, excludeSchemas } = options;
  if ([tables, excludeTables, excludeTableData, schemas, excludeSchemas].some((patterns) => patterns.length > 0))
    return;
  const found = await query(
    client,
    `WITH read AS (
       SELECT format('%I.%I', n.nspname, c.relname) AS name,
              CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE') OR NOT has_table_privilege(c.oid, 'SELECT') THEN 'denied'
                   WHEN $1 AND c.relkind <> 'S' AND row_security_active(c.oid) THEN 'hidden' END AS why
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE (c.relkind IN ('r', 'p') OR $1 AND c.relkind = 'S') AND c.relpersistence <> 't'
          AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND NOT EXISTS (SELECT FROM pg_depend d
                           WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
     SELECT name, why, (count(*) OVER ())::int AS count FROM read WHERE why IS NOT NULL ORDER BY why, name LIMIT 10`,
    [content !== 'schema'],
    row,
  );
  const [first] = found;
  if (first === undefined) return;
  const role = pg.escapeIdentifier(user);
  const rest = first.count > 1 ? `, and ${first.count - 1} more` : '';
  const facts = { database, role: user, tables: found.map(({ name }) => name), count: first.count };
  if (first.why === 'hidden') {
    throw new PgproofError(
      'rights-missing',
      `row-level security hides rows of ${first.name} from role '${user}'${rest}`,
      {
        facts,
        hint: `A dump without them would be a smaller one. Run as a superuser: ALTER ROLE ${role} BYPASSRLS;`,
      },
    );
  }
  throw new PgproofError('rights-missing', `role '${user}' may not read ${first.name} of '${database}'${rest}`, {
    facts,
    hint: `Run as a superuser: ${major >= 14 ? `GRANT pg_read_all_data TO ${role};` : `GRANT USAGE ON SCHEMA … TO ${role}; GRANT SELECT ON ALL TABLES IN SCHEMA … TO ${role}; and the same for sequences.`}`,
  });
}

/** Passwords of roles are a superuser's to read; without them, globals are dumped all the same. */
export async function readsRolePasswords(client: SqlClient): Promise<boolean> {
  const sql = `SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS may`;
  return (await queryOne(client, sql, [], z.object({ may: z.boolean() }))).may;
}

/** Unlogged tables are empty on a standby: they are no part of what it is sent. */
export async function countUnlogged(client: SqlClient): Promise<number> {
  const sql = `SELECT count(*)::int AS count FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r'`;
  return (await queryOne(client, sql, [], z.object({ count: z.number() }))).count;
}
