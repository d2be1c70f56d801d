import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConnectionConfig, DrillCheckConfig } from '../../core/config.ts';
import type { Phase } from '../../core/report.ts';
import type { Run } from '../../core/run.ts';
import type { Take } from '../../parts/reader.ts';
import type { Clients } from '../../postgres/clients.ts';
import { phaseTimer } from '../../restore/phases.ts';
import { archiveArgs, scriptArgs } from './argv.ts';
import { askChecks } from './checks.ts';
import { countRestored } from './count.ts';
import { createDatabase } from './database.ts';
import { judgeFit, refuseUnfit } from './fit.ts';
import { applyGlobals, type GlobalsPlan, readGlobals } from './globals.ts';
import type { DumpNeeds } from './needs.ts';
import { type DecidedRestore, type DumpRestoreMode, type DumpRestoreOptions, decideRestore } from './options.ts';
import { knowsRestrict } from './programs.ts';
import type { DumpRestoreResult } from './result.ts';
import { runRestorer } from './run-tools.ts';
import { ScriptFilter } from './script.ts';
import { loadInSections } from './sections.ts';
import { lookAtServer, refusedLocale, type TargetServer } from './server.ts';
import type { DumpSource } from './source.ts';
import { stageDump } from './stage.ts';
import { surveyDump } from './survey.ts';
import { type Way, wayOf } from './way.ts';

export type RestoreInto = {
  /** Of the server; its `database` is the one to be connected to while the other is made. */
  connection: ConnectionConfig;
  /** pg_restore and psql (`findRestorers`). */
  tools: Clients;
  /** Any name, also one that looks like an option or a connection string. */
  database: string;
  mode: DumpRestoreMode;
  /** A private folder that exists; what the restore puts into it is gone when it ends. */
  staging: string;
  /** Asked in the restored database. */
  checks?: readonly DrillCheckConfig[];
  /** Comment of a database that is made, so that who made it is known; the caller takes it away. */
  marker?: string;
  /**
   * A login of few rights to the same server: rows of an archive come by it, and it asks the questions (sections.ts). Without it,
   * everything is done by `connection`.
   */
  rows?: ConnectionConfig;
  /** Awaited right before the dump's own statements begin. */
  onLoad?(): Promise<void>;
};

/**
 * Restores a dump into one database: fetched and checked, the globals on wish, the database made (template0, with the
 * encoding and the locale of the dump's), pg_restore or psql, counts and assertions. A database that it made stays when it fails.
 * @throws {PgproofError} `dump-restore-failed` with the first errors; `database-exists`, `database-not-empty`, `database-missing`;
 * `dump-unfit`: the server lacks what the dump needs; `restore-unverified`, `object-damaged`, `no-space`, …
 */
export async function restoreDump(
  dump: DumpSource,
  into: RestoreInto,
  asked: DumpRestoreOptions,
  run: Run,
): Promise<DumpRestoreResult> {
  const { connection, database, tools, mode } = into;
  const options = decideRestore(asked, mode);
  const { source, bytes } = counting(dump);
  const phases: Phase[] = [];
  const timed = phaseTimer(phases, run);
  const took = (name: string): number => phases.find((one) => one.name === name)?.seconds ?? 0;
  const asking = into.rows ?? connection;
  const way = wayOf(source, options, mode, tools, into.rows !== undefined);
  const listFile = options.select === null ? null : join(into.staging, 'select.list');
  try {
    if (listFile !== null) await writeFile(listFile, options.select as string, { mode: 0o600, flag: 'wx' });
    const path = way.staged ? await timed('fetch', () => stageDump(source, into.staging, run)) : null;
    const fit = await timed('prepare', () => prepare(source, into, options, path, listFile, run));
    const { globals } = fit;
    if (globals !== null) await timed('globals', () => applyGlobals(globals, tools, connection, run));
    const made = { name: database, owner: ownerOf(source, options, fit), marker: into.marker ?? null };
    if (mode === 'new') await timed('create', () => createDatabase(connection, made, source.server, run));
    await into.onLoad?.();
    const left = await timed('restore', () => load(source, into, options, { ...way, ...fit, path, listFile }, run));
    const tables = options.content === 'data' ? null : fit.needs.tables;
    const counted = await timed('count', () => countRestored(asking, database, tables, took('restore'), run.signal));
    const checks = await timed('checks', () => askChecks(asking, database, into.checks ?? [], run.signal));
    return {
      dump: source.what,
      format: source.format,
      sourceDatabase: source.database,
      sourceVersion: source.server?.version ?? null,
      database,
      serverVersion: fit.server.versionText,
      tool: `${source.format === 'plain' ? 'psql' : 'pg_restore'} ${tools.version}`,
      jobs: way.jobs,
      plainBytes: source.plainBytes ?? bytes(),
      phases,
      ...counted,
      checks,
      conflicts: globals?.conflicts ?? [],
      notes: [...source.notes, ...fit.notes, ...way.notes, ...left],
    };
  } finally {
    await rm(join(into.staging, 'dump'), { recursive: true, force: true });
    if (listFile !== null) await rm(listFile, { force: true });
  }
}

/** The source, and how many bytes of the dump the last reading of it came to: of a file nobody knows before. */
function counting(source: DumpSource): { source: DumpSource; bytes(): number } {
  let bytes = 0;
  const read: DumpSource['read'] = (stream, take, run, again) => {
    if (stream === 'globals') return source.read(stream, take, run, again);
    bytes = 0;
    const counted: Take = (chunk, giveBack) => {
      bytes += chunk.length;
      return take(chunk, giveBack);
    };
    return source.read(stream, counted, run, again);
  };
  return { source: { ...source, read }, bytes: () => bytes };
}

/** Who owns the database that is made: as in the dump where that role is there. Null: who restores. */
function ownerOf(
  { server: taken }: DumpSource,
  { owner }: DecidedRestore,
  { server, globals }: Pick<Prepared, 'server' | 'globals'>,
): string | null {
  const wanted = typeof owner === 'object' ? owner.role : owner === 'dump' ? (taken?.owner ?? null) : null;
  const known = [...(server.superuser ? server.roles : server.memberOf), ...(globals?.makes ?? [])];
  return wanted !== null && known.includes(wanted) ? wanted : null;
}

export type Prepared = {
  server: TargetServer;
  needs: DumpNeeds;
  globals: GlobalsPlan | null;
  notes: string[];
  noTablespaces: boolean;
};

/** Looks at the server and the dump, and refuses what cannot go well; changes nothing. */
async function prepare(
  source: DumpSource,
  { connection, database, tools, mode }: RestoreInto,
  options: DecidedRestore,
  path: string | null,
  listFile: string | null,
  run: Run,
): Promise<Prepared> {
  const server = await lookAtServer(connection, database, run);
  const needs = await surveyDump(source, tools, options, path, listFile, run);
  const globals =
    options.globals === 'none' ? null : await readGlobals(source, tools, connection, server, options.globals, run);
  const fit = judgeFit({
    source,
    server,
    database,
    mode,
    options,
    needs,
    madeRoles: globals?.makes ?? [],
    refusedLocale: await localeOf(source, connection, mode, run),
    knowsRestrict: knowsRestrict(tools),
  });
  refuseUnfit(fit);
  return { server, needs, globals, notes: fit.notes, noTablespaces: fit.noTablespaces };
}

export async function localeOf(
  { server }: Pick<DumpSource, 'server'>,
  connection: ConnectionConfig,
  mode: DumpRestoreMode,
  { signal }: Pick<Run, 'signal'>,
): Promise<string | null> {
  if (mode !== 'new' || server === null || (server.provider ?? 'libc') !== 'libc') return null;
  return refusedLocale(connection, server, { signal });
}

type Loading = Way & Prepared & { path: string | null; listFile: string | null };

/** @returns what was left out, a sentence each. */
async function load(
  source: DumpSource,
  { connection, rows, database, tools, mode, staging }: RestoreInto,
  options: DecidedRestore,
  { path, listFile, jobs, noTablespaces, server }: Loading,
  run: Run,
): Promise<string[]> {
  if (source.format !== 'plain') {
    const args = { options, clean: mode === 'clean', noTablespaces, jobs, listFile };
    if (rows !== undefined && path !== null)
      return loadInSections(source, { connection, rows, tools, database, staging, path }, args, run);
    const read = path === null ? readOf(source) : null;
    await runRestorer(tools, 'pg_restore', archiveArgs(connection, database, args, path), connection, read, run);
    return [];
  }
  const filter = new ScriptFilter({ restrict: knowsRestrict(tools), withoutTransactionTimeout: server.major < 17 });
  await runRestorer(
    tools,
    'psql',
    scriptArgs(connection, database, options.singleTransaction),
    connection,
    async (take, watched) => {
      await source.read('dump', (chunk) => take(filter.take(chunk)), watched);
      await take(filter.end());
    },
    run,
  );
  return [];
}

const readOf =
  (source: DumpSource) =>
  (take: (chunk: Buffer) => Promise<void>, run: Run): Promise<void> =>
    source.read('dump', take, run);
