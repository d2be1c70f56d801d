/*
 * The table's columns: those that a platform's own migration makes, with their names and types, and behind them ours. All are
 * described for people in docs/reports.md; this file and that page change together.
 */

type Column = { name: string; type: string; more?: string };

export const columns: readonly Column[] = [
  { name: 'id', type: 'varchar(36)', more: 'PRIMARY KEY' },
  { name: 'started_at', type: 'timestamptz', more: 'NOT NULL' },
  { name: 'finished_at', type: 'timestamptz', more: 'NOT NULL' },
  { name: 'duration_sec', type: 'bigint', more: 'NOT NULL' },
  { name: 'database', type: 'text', more: 'NOT NULL' },
  { name: 'mode', type: 'text', more: 'NOT NULL' },
  { name: 'status', type: 'text', more: 'NOT NULL' },
  { name: 'size_bytes', type: 'bigint' },
  { name: 'local_file', type: 'text' },
  { name: 'remote_urls', type: 'text' },
  { name: 'checksum', type: 'text' },
  { name: 'error_msg', type: 'text' },
  { name: 'create_time', type: 'timestamptz', more: 'DEFAULT now()' },
  { name: 'update_time', type: 'timestamptz', more: 'DEFAULT now()' },
  { name: 'deleted', type: 'boolean', more: 'DEFAULT false' },
  { name: 'cluster', type: 'text' },
  { name: 'operation', type: 'text' },
  { name: 'host', type: 'text' },
  { name: 'report_id', type: 'text' },
  { name: 'report', type: 'jsonb' },
];

/** What makes the table, ready to run. */
export function createStatement(table: string): string {
  const lines = columns.map(({ name, type, more }) => `  ${name} ${type}${more === undefined ? '' : ` ${more}`}`);
  return `CREATE TABLE IF NOT EXISTS ${quoted(table)} (\n${lines.join(',\n')}\n);`;
}

/** What completes an older one, ready to run. Its rows have no value for what is new, so that nothing of it is NOT NULL. */
export function addStatement(table: string, missing: readonly string[]): string {
  const added = columns
    .filter(({ name }) => missing.includes(name))
    .map(({ name, type, more }) => `ADD COLUMN ${name} ${type}${more?.startsWith('DEFAULT') ? ` ${more}` : ''}`);
  return `ALTER TABLE ${quoted(table)} ${added.join(', ')};`;
}

/** `"ops"."db_backup_job"` of `ops.db_backup_job`. */
export function quoted(table: string): string {
  return table
    .split('.')
    .map((part) => `"${part}"`)
    .join('.');
}
