import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClusterConfig, ConnectionConfig } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import type { Clients } from '../../postgres/clients.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { freeBytesAt } from '../../restore/folder.ts';
import { type AskedDump, type ChosenDump, plannedOf, planningWith } from './chosen.ts';
import { judgeFit, refuseUnfit } from './fit.ts';
import { readGlobals } from './globals.ts';
import type { DumpNeeds } from './needs.ts';
import { type DecidedRestore, type DumpRestoreMode, type DumpRestoreOptions, decideRestore } from './options.ts';
import type { DumpPlan, PlanMode } from './plan-record.ts';
import { saveDumpPlan } from './plans.ts';
import { findRestorers, knowsRestrict } from './programs.ts';
import { localeOf } from './restore.ts';
import { inScratch } from './scratch.ts';
import { lookAtServer } from './server.ts';
import type { DumpSource } from './source.ts';
import { refuseWithoutRoom, stageList } from './stage.ts';
import { surveyDump } from './survey.ts';
import { wayOf } from './way.ts';

/** A server of this host's configuration. */
export type RestoreServer = { name: string; config: Pick<ClusterConfig, 'connection' | 'tools'> };

export type DumpPlanRequest = {
  dump: AskedDump;
  database: string;
  mode: PlanMode;
  options: DumpRestoreOptions;
  /** Role to connect as. */
  user: string | null;
};

/**
 * Decides the restore of a dump and keeps it as a frozen plan; nothing is written but that, and a hold that keeps the dump for a week.
 * What can be known to fail is refused here: the dump, the key, the programs, the database, roles, extensions, locale, space.
 * @throws {PgproofError} `backup-missing`, `object-missing`, `key-missing`, `dump-unfit`, `database-exists`, `no-space`, …
 */
export async function planDumpRestore(
  cluster: ProtectedCluster,
  server: RestoreServer,
  request: DumpPlanRequest,
  run: Run,
): Promise<DumpPlan> {
  return planningWith(cluster, request.dump, run, (chosen) => planFrom(cluster, server, request, chosen, run));
}

async function planFrom(
  cluster: ProtectedCluster,
  server: RestoreServer,
  request: DumpPlanRequest,
  chosen: ChosenDump,
  run: Run,
): Promise<DumpPlan> {
  const { source, held } = chosen;
  const { database, mode, user } = request;
  const connection = connectionOf(server, user);
  const into: DumpRestoreMode = mode === 'replace' ? 'new' : mode;
  const found = await lookAtServer(connection, database, run);
  const tools = await findRestorers(server.config.tools, source, found.major);
  const { options, notes } = await decide(cluster, source, request, into, tools);
  const needs = await needsOf(cluster, source, tools, options, run);
  const globals =
    options.globals === 'none' ? null : await readGlobals(source, tools, connection, found, options.globals, run);
  if (mode === 'replace') refuseReplacing(found.database !== null, connection, database);
  const fit = judgeFit({
    source,
    // What is restored beside it meets no database of its name.
    server: mode === 'replace' ? { ...found, database: null } : found,
    database,
    mode: into,
    options,
    needs,
    madeRoles: globals?.makes ?? [],
    refusedLocale: await localeOf(source, connection, into, run),
    knowsRestrict: knowsRestrict(tools),
  });
  refuseUnfit(fit);
  const plan: DumpPlan = {
    kind: 'dump',
    ...plannedOf(cluster, chosen),
    server: server.name,
    serverVersion: found.versionText,
    user,
    database,
    mode,
    options,
    confirmed: mode === 'new' || mode === 'existing' ? 'not needed' : null,
    conflicts: globals?.conflicts ?? [],
    notes: [
      ...source.notes,
      ...notes,
      ...fit.notes,
      ...modeNotes(mode, database, found.database?.sessions ?? 0),
      ...(held?.notes ?? []),
    ],
  };
  await saveDumpPlan(cluster, plan);
  return plan;
}

/** Another role has no password of the configuration's: .pgpass, PGPASSWORD, or none. */
export function connectionOf({ config: { connection } }: RestoreServer, user: string | null): ConnectionConfig {
  if (user === null || user === connection.user) return connection;
  const { password: _, ...rest } = connection;
  return { ...rest, user };
}

/** Several jobs need a copy of the dump; where nobody asked for them and there is no room, it is one. */
async function decide(
  { paths }: ProtectedCluster,
  source: DumpSource,
  { options: asked }: DumpPlanRequest,
  mode: DumpRestoreMode,
  tools: Clients,
): Promise<{ options: DecidedRestore; notes: string[] }> {
  const options = decideRestore(asked, mode);
  const way = wayOf(source, options, mode, tools);
  if (!way.staged || source.plainBytes === null) return { options, notes: way.notes };
  const free = await freeBytesAt(paths.dumps);
  const single = { ...options, jobs: 1 };
  if (free < source.plainBytes && asked.jobs === undefined && !wayOf(source, single, mode, tools).staged)
    return { options: single, notes: [`One job only: there is no room for a copy of the dump at '${paths.dumps}'.`] };
  await refuseWithoutRoom(paths.dumps, source.plainBytes);
  return { options, notes: way.notes };
}

/** By the dump's own list, or the beginning of its SQL; no more of it is read. */
async function needsOf(
  cluster: ProtectedCluster,
  source: DumpSource,
  tools: Clients,
  options: DecidedRestore,
  run: Run,
): Promise<DumpNeeds> {
  return inScratch(cluster, async (scratch) => {
    const listFile = options.select === null ? null : join(scratch, 'select.list');
    if (listFile !== null) await writeFile(listFile, options.select as string, { mode: 0o600 });
    return surveyDump(source, tools, options, await stageList(source, scratch, run), listFile, run);
  });
}

function refuseReplacing(isThere: boolean, connection: ConnectionConfig, database: string): void {
  if (!isThere)
    throw new PgproofError('database-missing', `there is no database '${database}'`, {
      facts: { database },
      hint: 'Without --existing it is made.',
    });
  if (connection.database !== database) return;
  throw new PgproofError('dump-unfit', `pgproof itself is connected to '${database}', so that it cannot be renamed`, {
    facts: { database },
    hint: 'Restore under another name, or with --clean.',
  });
}

function modeNotes(mode: PlanMode, database: string, sessions: number): string[] {
  const own =
    'What belongs to the database itself (ALTER DATABASE … SET, GRANT … ON DATABASE) is in no dump of one database.';
  if (mode === 'new') return [own];
  if (mode !== 'replace') return [];
  return [
    `It is restored beside '${database}', which goes on until then; at the end the old one is renamed, and stays.`,
    ...(sessions > 0
      ? [`${sessions} sessions are connected to '${database}': they must be gone when it is renamed.`]
      : []),
    own,
  ];
}
