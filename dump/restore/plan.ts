import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClusterConfig, ConnectionConfig } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import { runId } from '../../core/ids.ts';
import type { Run } from '../../core/run.ts';
import type { Clients } from '../../postgres/clients.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { findDumpIn } from '../../repository/merged.ts';
import type { DumpRecord } from '../../repository/record.ts';
import { freeBytesAt } from '../../restore/folder.ts';
import { type Held, letGo } from '../../restore/hold.ts';
import { refuseIncomplete } from './complete.ts';
import { judgeFit, refuseUnfit } from './fit.ts';
import { readGlobals } from './globals.ts';
import { holdDump } from './hold.ts';
import type { DumpNeeds } from './needs.ts';
import { type DecidedRestore, type DumpRestoreMode, type DumpRestoreOptions, decideRestore } from './options.ts';
import type { DumpPlan, PlanMode, PlannedFile } from './plan-record.ts';
import { saveDumpPlan } from './plans.ts';
import { findRestorers, knowsRestrict } from './programs.ts';
import { localeOf, wayOf } from './restore.ts';
import { inScratch } from './scratch.ts';
import { lookAtServer } from './server.ts';
import { type DumpSource, dumpSource } from './source.ts';
import { refuseWithoutRoom, stageList } from './stage.ts';
import { surveyDump } from './survey.ts';

/** A server of this host's configuration. */
export type RestoreServer = { name: string; config: Pick<ClusterConfig, 'connection' | 'tools'> };

export type DumpPlanRequest = {
  /** Id of a dump, or a beginning that only one has; or a file, opened already. */
  dump: { id: string } | { file: PlannedFile; source: DumpSource };
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
  const { dump } = request;
  if ('file' in dump)
    return planFrom(cluster, server, request, { dump: { file: dump.file }, source: dump.source }, run);
  const record = await findDumpIn(cluster.repositories, cluster.keys, cluster.name, dump.id, run);
  const held = await holdDump(cluster, 'plan', record.id, run);
  try {
    await refuseIncomplete(cluster, record, run);
    const from = { dump: { id: record.id }, source: dumpSource(cluster, record), record, held };
    return await planFrom(cluster, server, request, from, run);
  } catch (error) {
    await letGo(held);
    throw error;
  }
}

type From = { dump: DumpPlan['dump']; source: DumpSource; record?: DumpRecord; held?: Held };

async function planFrom(
  cluster: ProtectedCluster,
  server: RestoreServer,
  request: DumpPlanRequest,
  from: From,
  run: Run,
): Promise<DumpPlan> {
  const { source, held } = from;
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
    formatVersion: 1,
    kind: 'dump',
    id: runId(new Date(), 'restore', randomBytes(4).toString('hex')),
    createdAt: new Date().toISOString(),
    cluster: cluster.name,
    repositoryIds: cluster.repositories.map(({ id }) => id),
    dump: from.dump,
    source: {
      what: source.what,
      format: source.format,
      database: source.database,
      version: source.server?.version ?? null,
      takenAt: from.record?.startedAt ?? null,
      plainBytes: source.plainBytes,
    },
    server: server.name,
    serverVersion: found.versionText,
    user,
    database,
    mode,
    options,
    confirmed: mode === 'new' || mode === 'existing' ? 'not needed' : null,
    conflicts: globals?.conflicts ?? [],
    holds: held?.holds.map(({ repository, hold }) => ({ repositoryId: repository.id, id: hold.id })) ?? [],
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
  const isDirectory = source.format === 'directory';
  return inScratch(cluster, async (scratch) => {
    const listFile = options.select === null ? null : join(scratch, 'select.list');
    if (listFile !== null) await writeFile(listFile, options.select as string, { mode: 0o600 });
    const path = isDirectory ? await stageList(source, scratch, run) : null;
    return surveyDump(source, tools, options, path, listFile, run);
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
