import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import type { DrillCheckConfig } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import { type DumpRestoreOptions, dumpRestoreOptions } from '../dump/restore/options.ts';
import { findRestorers } from '../dump/restore/programs.ts';
import { restoreDump } from '../dump/restore/restore.ts';
import type { DumpRestoreResult } from '../dump/restore/result.ts';
import { type DumpSource, dumpSource } from '../dump/restore/source.ts';
import { stageList } from '../dump/restore/stage.ts';
import { surveyDump } from '../dump/restore/survey.ts';
import { execute, withClient } from '../postgres/client.ts';
import type { Clients } from '../postgres/clients.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { Nearest } from '../repository/nearest.ts';
import type { DumpRecord } from '../repository/record.ts';
import { whyFailed } from './dump-failure.ts';
import type { DrillFolder } from './folder.ts';
import type { Scratch } from './scratch.ts';

/**
 * Restores a dump into the scratch server, into a database of its own name, and asks it what the configuration asks of that database.
 * Its roles come from its globals; where it has none, empty ones of the names that it speaks of are made. An archive's rows come by a login
 * of few rights.
 * @throws {PgproofError} as `restoreDump`; `dump-unfit` for what only its globals could mend.
 */
export async function restoreIntoScratch(
  cluster: ProtectedCluster,
  { root }: DrillFolder,
  { record, major }: { record: DumpRecord; major: number },
  { connection, rows }: Scratch,
  copies: Nearest,
  run: Run,
): Promise<RestoredDump> {
  const source = dumpSource(cluster, record, copies);
  // Programs in a container do not reach the socket of this server.
  const tools = await findRestorers({ bin: cluster.config.tools.bin }, source, major);
  const staging = join(root, 'staging');
  await mkdir(staging, { mode: 0o700 });
  const database = record.database as string;
  const checks = questionsOf(record, cluster.config.drills.checks);
  const isPlain = record.format === 'plain';
  const hasRoles = record.globals !== null;
  if (!hasRoles) await makeRoles(source, tools, staging, connection, run);
  const options: DumpRestoreOptions = {
    globals: hasRoles ? 'missing' : 'none',
    ...(record.content === 'schema' && !isPlain ? { content: 'schema' } : {}),
  };
  const mode = everyServerHas.includes(database) ? 'existing' : 'new';
  try {
    const restored = await restoreDump(
      source,
      { connection, ...(rows === null ? {} : { rows }), tools, database, mode, staging, checks },
      options,
      run,
    );
    return { ...restored, how: howRestored(restored) };
  } catch (error) {
    throw error instanceof PgproofError ? whyFailed(error, hasRoles) : error;
  }
}

/** What of the configuration's questions a dump can be asked. */
export function questionsOf(
  { kind, content, database }: DumpRecord,
  checks: readonly DrillCheckConfig[],
): readonly DrillCheckConfig[] {
  if (kind === 'database') return checks.filter((check) => check.database === database);
  return kind === 'cluster' && content === 'all' ? checks : [];
}

/** What a drill tells of a restored dump. */
export type RestoredDump = Pick<
  DumpRestoreResult,
  'phases' | 'checks' | 'tables' | 'largest' | 'conflicts' | 'notes'
> & {
  /** By which program, and what came of it. */
  how: string;
};

function howRestored({ tool, tables: { found, expected }, jobs }: DumpRestoreResult): string {
  const tables = expected === null ? `tables: ${found}` : `tables: ${found} of ${expected} in its list`;
  return `${tool}, ${jobs} ${jobs === 1 ? 'job' : 'jobs'}, ended without an error; ${tables}`;
}

const everyServerHas = ['postgres', 'template1'];

async function makeRoles(
  source: DumpSource,
  tools: Clients,
  staging: string,
  connection: Scratch['connection'],
  run: Run,
): Promise<void> {
  const list = await stageList(source, staging, run);
  const { roles } = await surveyDump(source, tools, dumpRestoreOptions.parse({}), list, null, run);
  await withClient(
    connection,
    async (client) => {
      for (const role of roles) await execute(client, `CREATE ROLE ${pg.escapeIdentifier(role)}`);
    },
    { signal: run.signal },
  );
}
