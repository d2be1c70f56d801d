import pg from 'pg';
import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import { queryOne, type SqlClient } from '../postgres/client.ts';
import type { DumpTarget } from './target.ts';

/**
 * Refuses what pg_dump would end with, after all tables: a large object that the role may not read. No predefined role reads them.
 * Where tables or schemas are selected, pg_dump leaves them out.
 * @throws {PgproofError} `rights-missing` with the statement that helps.
 */
export async function refuseUnreadableLargeObjects(
  client: SqlClient,
  { options, database }: DumpTarget,
  { user, major }: { user: string; major: number },
): Promise<void> {
  const { content, tables, schemas } = options;
  if (content === 'schema' || tables.length > 0 || schemas.length > 0) return;
  const may =
    major >= 18
      ? `has_largeobject_privilege(m.oid, 'SELECT')`
      : `current_setting('lo_compat_privileges') = 'on' OR pg_has_role(m.lomowner, 'USAGE')
         OR EXISTS (SELECT FROM aclexplode(m.lomacl) a
                     WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))`;
  const { count, first } = await queryOne(
    client,
    `SELECT count(*)::int AS count, min(m.oid::bigint)::text AS first FROM pg_largeobject_metadata m WHERE NOT (${may})`,
    [],
    z.object({ count: z.number(), first: z.string().nullable() }),
  );
  if (first === null) return;
  const role = pg.escapeIdentifier(user);
  throw new PgproofError(
    'rights-missing',
    `role '${user}' may not read large object ${first} of '${database}'${count > 1 ? `, and ${count - 1} more` : ''}`,
    {
      facts: { database, role: user, count, first },
      hint: `Run as a superuser: ALTER ROLE ${role} SET lo_compat_privileges = on; (it reads and writes all of them then), or GRANT SELECT ON LARGE OBJECT … TO ${role}; for each.`,
    },
  );
}
