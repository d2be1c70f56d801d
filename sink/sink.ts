import type { SinkConfig } from '../core/config.ts';
import type { Report } from '../core/report.ts';
import { execute, type SqlClient, withClient } from '../postgres/client.ts';
import { quoted } from './columns.ts';
import { rowOf } from './row.ts';
import { prepareTable, withGrant } from './table.ts';

export type SendReport = (report: Report) => Promise<void>;

/** A table that is locked, or a server that hangs, is tried again later. */
const patience = { connectTimeoutSeconds: 5, statementTimeoutSeconds: 10, applicationName: 'pgproof reports' };

/**
 * Opens a session to the sink, makes or completes its table, and hands on a function that puts one report into it: the row of its
 * run, unless a later attempt of that run is there already.
 * @throws {PgproofError} `server-unreachable`, `server-refused`, `password-missing`, `password-open`; `sink-unusable` for a table
 * that cannot take reports; `rights-missing`, with the statements that mend it; of a single report also `sql-failed`, `timeout`.
 */
export async function withSink<T>(
  sink: SinkConfig,
  use: (send: SendReport) => Promise<T>,
  { signal }: { signal: AbortSignal },
): Promise<T> {
  const talk = async (client: SqlClient): Promise<T> => {
    await prepareTable(client, sink);
    return use((report) => upsert(client, sink, report));
  };
  return withClient(sink.connection, talk, { ...patience, signal });
}

/** What is there of a later attempt stays; what people wrote into other columns stays in any case. */
async function upsert(client: SqlClient, sink: SinkConfig, report: Report): Promise<void> {
  const row = rowOf(report);
  const names = Object.keys(row);
  const table = quoted(sink.table);
  const sql = `
    INSERT INTO ${table} AS known (${names.join(', ')}) VALUES (${names.map((_, index) => `$${index + 1}`).join(', ')})
    ON CONFLICT (id) DO UPDATE SET ${names.map((name) => `${name} = excluded.${name}`).join(', ')}, update_time = now()
    WHERE known.report_id IS NULL OR known.report_id < excluded.report_id COLLATE "C"`;
  await execute(client, sql, Object.values(row)).catch(withGrant(sink));
}
