import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Cluster } from '../test/support/postgres.ts';

const run = promisify(execFile);

/** A database of that size: half pgbench's tables, which compress well; half rows of digests, numbers and words with an index, which do not. */
export async function makeTables(server: Cluster, database: string, gigabytes: number): Promise<void> {
  await server.sql(`CREATE DATABASE ${database}`);
  const scale = String(Math.ceil(gigabytes * 34));
  await run(join(server.bin, 'pgbench'), ['-h', server.socketDir, '-U', server.user, '-iqs', scale, database]);
  await server.sql(
    `CREATE TABLE orders AS
     SELECT n, md5(n::text) || md5((n * 7)::text) AS digest, random() AS amount, now() + n * interval '1 second' AS at,
            'order ' || n || ' of customer ' || n % 9973 AS note
       FROM generate_series(1, ${Math.ceil(gigabytes * 1_700_000)}) n`,
    [],
    database,
  );
  await server.sql('CREATE INDEX ON orders (digest)', [], database);
  await server.sql('CHECKPOINT');
}

/** The WAL of loading and restoring is not what is measured: it would keep the shipper busy. */
export async function archiveBy(server: Cluster, command: string): Promise<void> {
  await server.sql(`ALTER SYSTEM SET archive_command = '${command.replaceAll("'", "''")}'`);
  await server.sql('SELECT pg_reload_conf()');
}
