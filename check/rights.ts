import * as z from 'zod';
import type { ConnectionConfig } from '../core/config.ts';
import { queryOne, type SqlClient } from '../postgres/client.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import { neededRights, type RightName } from './role.ts';

const rightsRow = z.object({
  superuser: z.boolean(),
  replication: z.boolean(),
  monitor: z.boolean(),
  connect: z.boolean(),
  'switch-wal': z.boolean(),
  'restore-point': z.boolean(),
  schema: z.boolean(),
});

/** Whether the role has each right that it needs, and whether it has far more. */
export async function checkRights(client: SqlClient, connection: ConnectionConfig): Promise<Finding[]> {
  const has = await queryOne(
    client,
    `SELECT rolsuper AS superuser,
            rolsuper OR rolreplication AS replication,
            pg_has_role('pg_monitor', 'USAGE') AS monitor,
            has_database_privilege(current_database(), 'CONNECT') AS connect,
            has_function_privilege('pg_catalog.pg_switch_wal()', 'EXECUTE') AS "switch-wal",
            has_function_privilege('pg_catalog.pg_create_restore_point(text)', 'EXECUTE') AS "restore-point",
            coalesce((SELECT has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE')
                        FROM pg_namespace WHERE nspname = 'pgproof'), false) AS schema
       FROM pg_roles WHERE rolname = current_user`,
    [],
    rightsRow,
  );
  const role = `role '${connection.user}'`;
  const rights = Object.entries(neededRights(connection)).map(([key, { what, reason, grant }]) => {
    const name = `right-${key}`;
    return has[key as RightName]
      ? ok(name, `${what}, for ${reason}`)
      : problem(name, `${role} lacks ${what}, for ${reason}`, grant);
  });
  if (!has.superuser) return rights;
  return [
    ...rights,
    warning(
      'superuser',
      `${role} is a superuser: far more than pgproof needs`,
      'Run the SQL that `pgproof init` prints, and connect as that role.',
    ),
  ];
}
