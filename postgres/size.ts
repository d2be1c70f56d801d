import * as z from 'zod';
import { queryOne, type SqlClient } from './client.ts';

/**
 * What all databases take on disk, without WAL.
 * @throws {PgproofError} `rights-missing` for a role that may not connect to each and is no member of pg_monitor.
 */
export async function databaseBytes(client: SqlClient): Promise<number> {
  const { bytes } = await queryOne(
    client,
    'SELECT sum(pg_database_size(oid))::bigint::text AS bytes FROM pg_database',
    [],
    z.object({ bytes: z.string().transform(Number) }),
  );
  return bytes;
}
