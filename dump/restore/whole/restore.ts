import { createReadStream } from 'node:fs';
import type { ConnectionConfig, DrillCheckConfig } from '../../../core/config.ts';
import type { DrillCheckResult } from '../../../core/report.ts';
import type { Run } from '../../../core/run.ts';
import type { Clients } from '../../../postgres/clients.ts';
import type { phaseTimer } from '../../../restore/phases.ts';
import { scriptArgs } from '../argv.ts';
import { askChecks } from '../checks.ts';
import { countRestored } from '../count.ts';
import { mostGlobals } from '../globals.ts';
import { knowsRestrict } from '../programs.ts';
import type { WholeResult } from '../result.ts';
import { runRestorer } from '../run-tools.ts';
import { restriction } from '../script.ts';
import type { DumpSource } from '../source.ts';
import { readHead } from './head.ts';
import { databasesOf } from './occupied.ts';
import { WholeScript } from './script.ts';

export type IntoServer = {
  connection: ConnectionConfig;
  tools: Clients;
  /** Those of databases that are not there then are not asked. */
  checks: readonly DrillCheckConfig[];
  timed: ReturnType<typeof phaseTimer>;
};

export type RestoredDatabases = Pick<WholeResult, 'databases' | 'checks'>;

/** The same dump, read from the file that it was fetched into and proven in. */
export const staged = (source: DumpSource, path: string): DumpSource => ({
  ...source,
  read: async (_, take, { signal }) => {
    for await (const chunk of createReadStream(path, { signal })) await take(chunk as Buffer);
  },
});

/**
 * Runs what follows the globals in the script of a whole server, counts tables, and asks the databases what the configuration asks of them.
 * @param path of the script.
 * @throws {PgproofError} `dump-restore-failed`; `object-damaged`, `dump-unfit` for a script that pg_dumpall did not write so.
 */
export async function restoreDatabases(
  source: DumpSource,
  path: string,
  into: IntoServer,
  run: Run,
): Promise<RestoredDatabases> {
  const { connection, tools, checks, timed } = into;
  const began = performance.now();
  await timed('restore', () => runScript(source, path, connection, tools, run));
  const seconds = (performance.now() - began) / 1000;
  const names = (await databasesOf(connection, run.signal)).filter((name) => !/^template[01]$/.test(name));
  const databases = await timed('count', async () => {
    const counted: WholeResult['databases'] = [];
    for (const name of names) {
      const { tables, largest } = await countRestored(connection, name, null, seconds / names.length, run.signal);
      counted.push({ name, tables: tables.found, largest });
    }
    return counted;
  });
  return { databases, checks: await timed('checks', () => askAll(connection, checks, names, run)) };
}

/** A psql for each stretch between two `\connect`. */
async function runScript(
  source: DumpSource,
  path: string,
  connection: ConnectionConfig,
  tools: Clients,
  run: Run,
): Promise<void> {
  const { sql, settings } = await readHead(source, mostGlobals, run);
  const file = createReadStream(path, { start: sql.length, highWaterMark: 1024 * 1024 });
  const script = new WholeScript(file);
  let before = settings;
  try {
    while (script.database !== null) {
      const args = scriptArgs(connection, script.database, false);
      const read = async (take: (chunk: Buffer) => Promise<void>): Promise<void> => {
        await take(Buffer.from(`${knowsRestrict(tools) ? restriction() : ''}${before}`, 'latin1'));
        await script.readSection(take);
      };
      await runRestorer(tools, 'psql', args, connection, read, run);
      before = '';
    }
  } finally {
    file.destroy();
  }
}

/** Those of the databases that are there now. */
async function askAll(
  connection: ConnectionConfig,
  checks: readonly DrillCheckConfig[],
  names: readonly string[],
  run: Run,
): Promise<DrillCheckResult[]> {
  const results: DrillCheckResult[] = [];
  for (const name of names) {
    const own = checks.filter(({ database }) => database === name);
    results.push(...(await askChecks(connection, name, own, run.signal)));
  }
  return results;
}
