import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import type { DrillCheckResult, Phase } from '../core/report.ts';
import type { Run } from '../core/run.ts';
import { applyGlobals } from '../dump/restore/globals.ts';
import { dumpSource } from '../dump/restore/source.ts';
import { stageDump } from '../dump/restore/stage.ts';
import { lookAtWhole } from '../dump/restore/whole/plan.ts';
import { type RestoredDatabases, restoreDatabases, staged } from '../dump/restore/whole/restore.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { Nearest } from '../repository/nearest.ts';
import type { DumpRecord } from '../repository/record.ts';
import { phaseTimer } from '../restore/phases.ts';
import { whyFailed } from './dump-failure.ts';
import { questionsOf, type RestoredDump } from './dump-restore.ts';
import type { DrillFolder } from './folder.ts';
import type { Scratch } from './scratch.ts';

/**
 * Restores what pg_dumpall wrote into the scratch server, as `restore plan` would into one of somebody's: the globals alone, or all of it, by its
 * superuser. Asked is every question of the configuration; one to a database that the dump has not is answered by that.
 * @throws {PgproofError} `dump-restore-failed`; `dump-unfit` for what only this host lacks; what reading the dump throws.
 */
export async function restoreWholeIntoScratch(
  cluster: ProtectedCluster,
  { root }: DrillFolder,
  { record }: { record: DumpRecord },
  { connection }: Scratch,
  copies: Nearest,
  run: Run,
): Promise<RestoredDump> {
  const { config } = cluster;
  const phases: Phase[] = [];
  const timed = phaseTimer(phases, run);
  const staging = join(root, 'staging');
  await mkdir(staging, { mode: 0o700 });
  const dump = dumpSource(cluster, record, copies);
  const path = record.kind === 'globals' ? null : await timed('fetch', () => stageDump(dump, staging, run));
  const source = path === null ? dump : staged(dump, path);
  // Programs in a container do not reach the socket of this server.
  const server = { name: 'drill', config: { ...config, connection, tools: { bin: config.tools.bin } } };
  const look = () => lookAtWhole(source, server, { globals: 'missing', user: null }, run);
  const { tools, globals } = await timed('prepare', look);
  const checks = questionsOf(record, config.drills.checks);
  try {
    await timed('globals', () => applyGlobals(globals, tools, connection, run));
    const into = { connection, tools, checks, timed };
    const restored = path === null ? nothing : await restoreDatabases(source, path, into, run);
    const { databases } = restored;
    const found = databases.reduce((sum, { tables }) => sum + tables, 0);
    return {
      phases,
      how: `psql ${tools.version}, ended without an error; roles: ${globals.makes.length}${path === null ? '' : `, databases: ${databases.length}, tables: ${found}`}`,
      tables: { found, expected: null },
      largest: databases.flatMap(({ name, largest }) =>
        largest.map((table) => ({ ...table, schema: `${name}: ${table.schema}` })),
      ),
      checks: [...restored.checks, ...ofNone(checks, restored.checks)],
      conflicts: globals.conflicts,
      notes: [...source.notes],
    };
  } catch (error) {
    throw error instanceof PgproofError ? whyFailed(error, true) : error;
  }
}

const nothing: RestoredDatabases = { databases: [], checks: [] };

const ofNone = (
  checks: readonly { name: string; database: string }[],
  asked: readonly DrillCheckResult[],
): DrillCheckResult[] =>
  checks
    .filter(({ name }) => !asked.some((one) => one.name === name))
    .map(({ name, database }) => ({ name, passed: false, detail: `the dump has no database '${database}'` }));
