import * as z from 'zod';
import type { ConnectionConfig } from '../../core/config.ts';
import { hasCode, PgproofError } from '../../core/errors.ts';
import { query, queryOne, type SqlClient, withClient } from '../../postgres/client.ts';
import type { TableName } from './needs.ts';
import type { DumpRestoreResult } from './result.ts';
import { userTables } from './server.ts';

/** So many of the largest tables are counted row by row. */
const largestTables = 10;
/** Reading everything back is not what a restore is waited for: counting may take this share of its time, or so many seconds. */
const shareOfRestore = 0.03;
const leastSeconds = 5;

const table = z.object({ oid: z.coerce.number(), schema: z.string(), name: z.string(), kind: z.string() });

/**
 * What is there after a restore, compared with what the dump makes.
 * @param made tables that the dump's SQL makes; null: that is not known.
 * @param restoreSeconds how long they took to come.
 * @throws {PgproofError} `restore-unverified` naming those that are not there.
 */
export async function countRestored(
  connection: ConnectionConfig,
  database: string,
  made: readonly TableName[] | null,
  restoreSeconds: number,
  signal: AbortSignal,
): Promise<Pick<DumpRestoreResult, 'tables' | 'largest'>> {
  const budget = Math.max(leastSeconds, shareOfRestore * restoreSeconds);
  const options = { signal, database, statementTimeoutSeconds: 300 + budget };
  return withClient(
    connection,
    async (client) => {
      const found = await query(client, userTables, [], table);
      refuseMissing(database, made ?? [], found);
      return {
        tables: { found: found.length, expected: made?.length ?? null },
        largest: await countLargest(client, budget),
      };
    },
    options,
  );
}

function refuseMissing(database: string, made: readonly TableName[], found: readonly z.output<typeof table>[]): void {
  const names = new Set(
    found.flatMap(({ schema, name }) => [JSON.stringify([schema, name]), JSON.stringify([null, name])]),
  );
  const lacking = made.filter(({ schema, name }) => !names.has(JSON.stringify([schema, name])));
  if (lacking.length === 0) return;
  const texts = lacking.slice(0, 20).map(({ schema, name }) => (schema === null ? name : `${schema}.${name}`));
  throw new PgproofError(
    'restore-unverified',
    `${lacking.length} tables that the dump makes are not in '${database}': ${texts.join(', ')}`,
    { facts: { database, tables: texts, missing: lacking.length }, hint: 'Look at the server log, and restore again.' },
  );
}

/** The smaller of them first: what is left of the time may not be enough for the largest. */
async function countLargest(client: SqlClient, seconds: number): Promise<DumpRestoreResult['largest']> {
  const row = z.object({ schema: z.string(), table: z.string(), quoted: z.string() });
  const sql = `SELECT schema, name AS table, oid::regclass::text AS quoted FROM (${userTables}) AS t WHERE kind = 'r'
                ORDER BY pg_table_size(oid) DESC, schema, name LIMIT ${largestTables}`;
  // Names are qualified where the search path does not find them, and pg_catalog is always in it.
  await client.query(`SET search_path = ''`);
  const largest = await query(client, sql, [], row);
  const until = performance.now() + seconds * 1000;
  const counted: DumpRestoreResult['largest'] = [];
  for (const { schema, table: name, quoted } of largest.toReversed())
    counted.unshift({ schema, table: name, rows: await rowsOf(client, quoted, until - performance.now()) });
  return counted;
}

/** Null when it takes too long, or the role may not read the table. */
async function rowsOf(client: SqlClient, quoted: string, milliseconds: number): Promise<number | null> {
  if (milliseconds < 1) return null;
  try {
    await client.query(`SET statement_timeout = ${Math.ceil(milliseconds)}`);
    const row = z.object({ rows: z.coerce.number() });
    return (await queryOne(client, `SELECT count(*) AS rows FROM ONLY ${quoted}`, [], row)).rows;
  } catch (error) {
    if (hasCode(error, 'timeout', 'rights-missing')) return null;
    throw error;
  }
}
