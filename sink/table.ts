import pg from 'pg';
import * as z from 'zod';
import type { SinkConfig } from '../core/config.ts';
import { hasCode, PgproofError } from '../core/errors.ts';
import { execute, query, queryOne, type SqlClient } from '../postgres/client.ts';
import { addStatement, columns, createStatement, quoted } from './columns.ts';

/** What a table lacks to take reports; `columns` are all of them where there is no table. */
export type TableState = { exists: boolean; missing: string[] };

/**
 * Makes the table, or completes it. Looks first: a role that may only write rows is enough for a table that is complete.
 * @throws {PgproofError} `sink-unusable`; `rights-missing`, with the statements for somebody who has the right.
 */
export async function prepareTable(client: SqlClient, sink: SinkConfig): Promise<void> {
  if (isComplete(await lookAtTable(client, sink))) return;
  await execute(client, 'BEGIN');
  // Hosts that begin at the same time would make it twice, and one of them would fail.
  await execute(client, 'SELECT pg_advisory_xact_lock(hashtext($1))', ['pgproof report sink']);
  const state = await lookAtTable(client, sink);
  if (!isComplete(state)) await change(client, sink, state);
  await execute(client, 'COMMIT');
}

/**
 * Asks only.
 * @throws {PgproofError} `sink-unusable` for what is no table, or has no unique id.
 */
export async function lookAtTable(client: SqlClient, sink: SinkConfig): Promise<TableState> {
  const { table } = sink;
  const names = columns.map(({ name }) => name);
  const [found] = await query(client, lookSql, [quoted(table)], relation).catch(withGrant(sink));
  if (found === undefined) return { exists: false, missing: names };
  const missing = names.filter((name) => !found.columns.includes(name));
  if (!['r', 'p'].includes(found.kind))
    throw unusable(table, 'is no table', 'Name a table, or one that is not there yet.');
  if (!found.hasUniqueId && !missing.includes('id'))
    throw unusable(table, 'has no unique id', `Run: ALTER TABLE ${quoted(table)} ADD PRIMARY KEY (id);`);
  if (missing.includes('id'))
    throw unusable(
      table,
      'has no column id',
      'It was made for something else: choose another name for reportSink.table.',
    );
  return { exists: true, missing };
}

export const isComplete = ({ missing }: TableState): boolean => missing.length === 0;

/** What makes or completes it, ready to run. */
export function statementFor({ table }: SinkConfig, { exists, missing }: TableState): string {
  return exists ? addStatement(table, missing) : createStatement(table);
}

/** Whether the role may write rows; null where there is no table. */
export async function mayWrite(client: SqlClient, { table }: SinkConfig): Promise<boolean> {
  const privileges = ['SELECT', 'INSERT', 'UPDATE'].map((right) => `has_table_privilege(to_regclass($1), '${right}')`);
  const sql = `SELECT coalesce(${privileges.join(' AND ')}, false) AS may`;
  return (await queryOne(client, sql, [quoted(table)], z.object({ may: z.boolean() }))).may;
}

async function change(client: SqlClient, sink: SinkConfig, state: TableState): Promise<void> {
  const statement = statementFor(sink, state);
  try {
    await execute(client, statement);
  } catch (error) {
    if (!hasCode(error, 'rights-missing')) throw error;
    throw error.retold({
      message: `the table '${sink.table}' is to be made or completed: ${error.message}`,
      facts: { table: sink.table },
      hint: `Run, as somebody who may:\n${statement}\n${grantStatement(sink)}`,
    });
  }
}

/** What lets the role write rows, ready to run. */
export function grantStatement({ table, connection }: SinkConfig): string {
  const user = pg.escapeIdentifier(connection.user);
  const [schema, name] = table.split('.') as [string, string | undefined];
  const usage = name === undefined ? '' : `GRANT USAGE ON SCHEMA ${quoted(schema)} TO ${user};\n`;
  return `${usage}GRANT SELECT, INSERT, UPDATE ON ${quoted(table)} TO ${user};`;
}

/** For `catch`: a right that is missing comes with the statements that grant it. */
export const withGrant =
  (sink: SinkConfig) =>
  (error: unknown): never => {
    if (!hasCode(error, 'rights-missing')) throw error;
    const { facts, message } = error;
    const hint = `Run, as somebody who may:\n${grantStatement(sink)}`;
    throw new PgproofError('rights-missing', message, { facts, hint, cause: error });
  };

const relation = z.object({ kind: z.string(), columns: z.array(z.string()), hasUniqueId: z.boolean() });

const lookSql = `
  SELECT c.relkind::text AS kind,
    ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    EXISTS (
      SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
      WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 AND a.attname = 'id'
    ) AS "hasUniqueId"
  FROM pg_class c WHERE c.oid = to_regclass($1)`;

function unusable(table: string, what: string, hint: string): PgproofError {
  return new PgproofError('sink-unusable', `'${table}', which reportSink.table names, ${what}`, {
    facts: { table },
    hint,
  });
}
