import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConnectionConfig } from '../../core/config.ts';
import type { Run } from '../../core/run.ts';
import type { Clients } from '../../postgres/clients.ts';
import { type ArchiveArgs, archiveArgs } from './argv.ts';
import { listOf } from './list.ts';
import { runRestorer } from './run-tools.ts';
import type { DumpSource } from './source.ts';

/** Where an archive goes, staged; `rows`: a login of few rights to the same server. */
export type SectionsInto = {
  connection: ConnectionConfig;
  rows: ConnectionConfig;
  tools: Clients;
  database: string;
  staging: string;
  path: string;
};

/**
 * Restores an archive so that code in it has no more rights than its author had. When rows come, CHECKs and domains call functions that
 * anybody may have written who could make a table: as a superuser these could start programs. So rows come by a login of few rights, and
 * checks that pg_dump adds behind them are left out. Indexes and materialized views are built as their owners, by PostgreSQL itself.
 * @returns what was left out, a sentence each.
 */
export async function loadInSections(
  source: DumpSource,
  { connection, rows, tools, database, staging, path }: SectionsInto,
  args: ArchiveArgs,
  run: Run,
): Promise<string[]> {
  const load = (login: ConnectionConfig, section: string, more: Partial<ArchiveArgs> = {}) => {
    const argv = archiveArgs(login, database, { ...args, ...more }, path);
    return runRestorer(tools, 'pg_restore', [`--section=${section}`, ...argv], login, null, run);
  };
  const { kept, left } = withoutLateChecks(await listOf(source, tools, path, run));
  const listFile = join(staging, 'behind-rows.list');
  await writeFile(listFile, kept, { mode: 0o600, flag: 'wx' });
  await load(connection, 'pre-data', { jobs: 1 });
  await load(rows, 'data');
  await load(connection, 'post-data', { listFile });
  return left.length === 0
    ? []
    : [
        `Not made, because making them calls functions of the dump with the rights of a superuser: ${left.slice(0, 10).join(', ')}${left.length > 10 ? ` and ${left.length - 10} more` : ''}.`,
      ];
}

/**
 * A list without the constraints whose making calls functions of the dump as whoever restores: checks that had to wait for the rows, and
 * foreign keys where casts of the dump may stand between the two sides.
 */
function withoutLateChecks(list: string): { kept: string; left: string[] } {
  const lines = list.split('\n');
  const kinds = lines.some((line) => /^\d+; \d+ \d+ CAST /.test(line)) ? '(?:FK|CHECK)' : 'CHECK';
  const late = new RegExp(`^\\d+; \\d+ \\d+ ${kinds} CONSTRAINT (.*)$`);
  return {
    kept: lines.filter((line) => !late.test(line)).join('\n'),
    left: lines.flatMap((line) => late.exec(line)?.[1] ?? []),
  };
}
