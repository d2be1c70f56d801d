import type { ConnectionConfig } from '../../core/config.ts';
import { hasCode, PgproofError } from '../../core/errors.ts';
import { compactTime } from '../../core/ids.ts';
import type { Run } from '../../core/run.ts';
import { commentStatement, renameStatement, together } from './database.ts';
import type { DumpPlan } from './plan-record.ts';
import { lookAtServer } from './server.ts';

/** What is restored into: the database itself, or one beside it that takes its place at the end. */
export const workingName = ({ id, mode, database }: Pick<DumpPlan, 'id' | 'mode' | 'database'>): string =>
  mode === 'replace' ? `pgproof_${id.slice(-8)}` : database;

/** `shop_before_20261120T140501Z`, in the 63 bytes that a name has. */
export function asideName(database: string, at: Date): string {
  const suffix = `_before_${compactTime(at)}`;
  let name = database;
  while (new TextEncoder().encode(name).length > 63 - suffix.length) name = [...name].slice(0, -1).join('');
  return `${name}${suffix}`;
}

/**
 * What was made gets its last name, and is no longer marked as unfinished; a database that it replaces is renamed, and stays.
 * @throws {PgproofError} `database-in-use` while somebody is connected to the one that is to be renamed.
 */
export async function finishDatabase(
  connection: ConnectionConfig,
  plan: DumpPlan,
  run: Run,
): Promise<{ replaced: string | null }> {
  const { mode, database } = plan;
  if (mode !== 'new' && mode !== 'replace') return { replaced: null };
  if (mode === 'new') {
    await together(connection, [commentStatement(database, null)], run);
    return { replaced: null };
  }
  const working = workingName(plan);
  const old = (await lookAtServer(connection, database, run)).database;
  const aside = old === null ? null : asideName(database, new Date());
  const statements = [
    ...(aside === null ? [] : [renameStatement(database, aside)]),
    renameStatement(working, database),
    commentStatement(database, null),
  ];
  if (old !== null && old.sessions > 0) throw inUse(database, working, statements);
  try {
    await together(connection, statements, run);
  } catch (error) {
    const isInUse = hasCode(error, 'sql-failed') && error.facts.sqlstate === '55006';
    throw isInUse ? inUse(database, working, statements) : error;
  }
  return { replaced: aside };
}

function inUse(database: string, working: string, statements: readonly string[]): PgproofError {
  return new PgproofError(
    'database-in-use',
    `everything is restored in '${working}', and sessions that are connected to '${database}' keep it from being renamed`,
    {
      facts: { database, working },
      hint: `End them, then run: ${statements.map((text) => `${text};`).join(' ')}`,
    },
  );
}
