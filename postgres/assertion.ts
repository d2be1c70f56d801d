import { execute, type SqlClient } from './client.ts';
import { sqlError } from './sql-errors.ts';

/** What a restored database answers to a question of the configuration; `passed` null: it is not to be judged. */
export type Judged = { passed: boolean | null; detail: string };

/**
 * Asks a query whose only row's first column has to be true. By a cursor: whatever the query is, two rows at most come over, and
 * nothing is written.
 * @throws {PgproofError} `sql-failed`, `rights-missing`, `timeout`, …
 */
export async function askAssertion(client: SqlClient, sql: string): Promise<Judged> {
  await execute(client, 'BEGIN TRANSACTION READ ONLY');
  try {
    await client.query(`DECLARE pgproof_check NO SCROLL CURSOR FOR ${sql}`);
    const { rows } = await client.query<unknown[]>({ text: 'FETCH 2 FROM pgproof_check', rowMode: 'array' });
    return judge(rows);
  } catch (error) {
    throw sqlError(error, sql);
  }
}

function judge(rows: readonly unknown[][]): Judged {
  if (rows.length !== 1) {
    return {
      passed: null,
      detail: `not to be judged: it answered ${rows.length === 0 ? 'no row' : 'more than one row'}`,
    };
  }
  const value = rows[0]?.[0];
  if (typeof value === 'boolean' || value === null) return { passed: value === true, detail: `it answered ${value}` };
  return { passed: null, detail: 'not to be judged: its first column is neither true nor false' };
}
