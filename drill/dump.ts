import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { abortReason } from '../core/abort.ts';
import { asPgproofError, hasCode, PgproofError } from '../core/errors.ts';
import type { RunId } from '../core/ids.ts';
import type { DrillResult } from '../core/report.ts';
import type { DrillRequest } from '../core/request.ts';
import type { Run } from '../core/run.ts';
import { findRestorers, majorOf } from '../dump/restore/programs.ts';
import { restoreDump } from '../dump/restore/restore.ts';
import { dumpSource } from '../dump/restore/source.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { findTools } from '../postgres/tools.ts';
import { currentEra } from '../repository/eras.ts';
import { newHoldId, placeHold } from '../repository/holds.ts';
import { assertReads } from '../repository/keys.ts';
import { dumpKey } from '../repository/layout.ts';
import { Nearest } from '../repository/nearest.ts';
import type { DumpRecord } from '../repository/record.ts';
import { fallbackNotes } from '../restore/fallbacks.ts';
import { checkTargetFolder, refuseWithoutSpace } from '../restore/folder.ts';
import { inDrill } from './advice.ts';
import type { Attempt, Held } from './attempt.ts';
import { unasked } from './checks.ts';
import { type ChosenDump, chooseDrillDump } from './dump-choice.ts';
import { type DrillFolder, drillFolderAt, makeDrillFolder } from './folder.ts';
import { cleanUpAfterKilled } from './leftovers.ts';
import { Phases } from './phases.ts';
import { refuseLongSocket } from './preflight.ts';
import { type Scratch, startScratch } from './scratch.ts';
import { tearDownScratch } from './teardown.ts';
import { verdictOf } from './verdict.ts';

type DumpDrill = ChosenDump & { major: number; startedAt: Date; notes: string[] };

/** A dump is not deleted under a drill; where the drill is killed, for so long. */
const holdSeconds = 2 * 86_400;

/** Beside the checks of the configuration. */
const ownChecks = ['catalogue', 'restored'];

/**
 * Proves that a dump can be restored: into an empty server of the same major, made for it on this host, with its roles, and asks the
 * restored database. The cluster's own server is not needed, and not touched. Whatever ends it after it began is a verdict, not an
 * error; nothing of it stays on the host.
 * @param holds as for `runDrill`.
 * @throws {PgproofError} what made it impossible to begin: `backup-missing`, `dump-refused`, `tool-missing`, `root-refused`,
 * `key-write-only`, `no-space`; the signal's reason; `internal`.
 */
export async function runDumpDrill(
  cluster: ProtectedCluster,
  request: Pick<DrillRequest, 'dump' | 'database'>,
  run: Run,
  id: RunId,
  holds: Held,
): Promise<DrillResult> {
  const phases = new Phases(run);
  const copies = new Nearest(cluster.repositories);
  const drill = await phases.time('preflight', () => prepare(cluster, drillFolderAt(cluster, id), request, run));
  const attempt: Attempt = { phases, run, copies, holds, found: { checks: [drill.catalogue], error: null } };
  const folder = await makeDrillFolder(cluster, id);
  const restored = await prove(cluster, folder, drill, attempt);
  if (run.signal.aborted) throw abortReason(run.signal);
  if (hasCode(attempt.found.error, 'internal')) throw attempt.found.error;
  return conclude(cluster, drill, attempt, restored);
}

/** What must be so before anything is made; nothing of the cluster's server is asked. */
async function prepare(
  cluster: ProtectedCluster,
  folder: DrillFolder,
  request: Pick<DrillRequest, 'dump' | 'database'>,
  run: Run,
): Promise<DumpDrill> {
  const startedAt = new Date();
  assertReads(cluster);
  const notes = await cleanUpAfterKilled(cluster);
  await checkTargetFolder(cluster, folder.dataDir);
  refuseLongSocket(folder);
  const chosen = await chooseDrillDump(cluster, request, run.signal);
  const major = await majorFor(cluster, chosen.record, run.signal);
  await findTools(cluster.config.tools.bin, major);
  await refuseWithoutSpace(folder.dataDir, emptyServerBytes + chosen.record.dump.plainBytes);
  return { ...chosen, major, startedAt, notes };
}

/** What initdb makes, and a first segment of WAL. */
const emptyServerBytes = 64 * 1024 * 1024;

/** The dump's own; of an old file, which does not say it, that of its pg_dump, otherwise the cluster's. */
async function majorFor(
  cluster: ProtectedCluster,
  { id, server, toolVersion }: DumpRecord,
  signal: AbortSignal,
): Promise<number> {
  const known =
    server.major ?? majorOf(toolVersion) ?? (await currentEra(cluster.repository, cluster.name, { signal }))?.major;
  if (known !== undefined) return known;
  throw new PgproofError('dump-refused', `nothing says which PostgreSQL the dump ${id} is of`, { facts: { dump: id } });
}

type Restored = Awaited<ReturnType<typeof restoreDump>>;

/** Never rejects: what ends it early is found. @returns null where it ended early. */
async function prove(
  cluster: ProtectedCluster,
  folder: DrillFolder & { id: RunId },
  drill: DumpDrill,
  { phases, run, found, copies, holds }: Attempt,
): Promise<Restored | null> {
  let scratch: Scratch | null = null;
  let restored: Restored | null = null;
  try {
    await phases.time('hold', () => holdDump(cluster, drill.record, holds, run));
    const began = performance.now();
    scratch = await phases.time('server', async () =>
      startScratch(await findTools(cluster.config.tools.bin, drill.major), folder, run),
    );
    const { connection } = scratch;
    const serverSeconds = (performance.now() - began) / 1000;
    restored = await restoreInto(cluster, folder, drill, connection, copies, run);
    for (const { name, seconds } of restored.phases) phases.add(name, seconds);
    const counted = restored.phases.filter(({ name }) => !['count', 'checks'].includes(name));
    found.rtoSeconds = round(counted.reduce((sum, { seconds }) => sum + seconds, serverSeconds));
    found.checks.push({ name: 'restored', passed: true, detail: howRestored(restored) }, ...restored.checks);
  } catch (error) {
    found.error = inDrill(whyFailed(asPgproofError(error)), cluster.name);
  }
  const left = await phases.time('teardown', () => tearDownScratch(folder, scratch));
  drill.notes.push(...left);
  return restored;
}

async function restoreInto(
  cluster: ProtectedCluster,
  { root }: DrillFolder,
  { record, major }: DumpDrill,
  connection: Scratch['connection'],
  copies: Nearest,
  run: Run,
): Promise<Restored> {
  const source = dumpSource(cluster, record, copies);
  // Programs in a container do not reach the socket of this server.
  const tools = await findRestorers({ bin: cluster.config.tools.bin }, source, major);
  const staging = join(root, 'staging');
  await mkdir(staging, { mode: 0o700 });
  const database = record.database as string;
  const checks = cluster.config.drills.checks.filter((check) => check.database === database);
  const withRoles = record.globals !== null;
  return restoreDump(
    source,
    { connection, tools, database, mode: await modeFor(database), staging, checks },
    {
      globals: withRoles ? 'missing' : 'none',
      owner: withRoles ? 'dump' : 'none',
      privileges: withRoles,
      ...(record.content === 'schema' ? { content: 'schema' } : {}),
    },
    run,
  );
}

/** That a statement fails is what a drill is there to find; that this host's disk is full, or its server was killed, proves nothing. */
function whyFailed(error: PgproofError): PgproofError {
  if (error.code !== 'dump-restore-failed') return error;
  const { message, facts, hint } = error;
  const said = [message, ...(Array.isArray(facts.errors) ? facts.errors : [])].join('\n');
  const isFull = /No space left on device/.test(said);
  const isGone = /server closed the connection|terminating connection|the database system is/.test(said);
  const code = isFull ? 'no-space' : isGone ? 'tool-failed' : error.code;
  return new PgproofError(code, message, { facts, ...(hint === null ? {} : { hint }) });
}

/** Every server has it already. */
const modeFor = async (database: string): Promise<'new' | 'existing'> => (database === 'postgres' ? 'existing' : 'new');

/** In every repository at hand; one that takes no hold is no reason not to drill. */
async function holdDump(
  { name, host, repositories }: ProtectedCluster,
  { id }: DumpRecord,
  holds: Held,
  run: Run,
): Promise<void> {
  const order = { id: newHoldId('drill'), cluster: name, operation: 'drill', by: host, reason: null } as const;
  for (const repository of repositories) {
    try {
      await placeHold(repository, { ...order, seconds: holdSeconds, needs: [], dumps: [id] }, { signal: run.signal });
      holds.push({ repositoryId: repository.id, id: order.id });
    } catch (error) {
      if (run.signal.aborted) throw error;
    }
  }
}

function howRestored({ tool, tables, jobs }: Restored): string {
  const expected = tables.expected === null ? '' : `, all ${tables.expected} of its own list`;
  return `every byte as its record says; ${tool}, ${jobs} ${jobs === 1 ? 'job' : 'jobs'}, ended without an error; ${tables.found} tables are there${expected}`;
}

function conclude(
  cluster: ProtectedCluster,
  { record, repository, startedAt, notes }: DumpDrill,
  { phases, found, copies }: Attempt,
  restored: Restored | null,
): DrillResult {
  const { config } = cluster;
  const wanted = config.drills.checks.filter(({ database }) => database === record.database).map(({ name }) => name);
  const checks = [...found.checks, ...unasked(found.checks, [...ownChecks, ...wanted], 'the drill ended before it')];
  const parts = [...record.dump.parts, ...(record.globals?.parts ?? [])];
  const location = cluster.repositories.find(({ name }) => name === repository)?.location;
  const noQuestions = `No question is asked of database '${record.database}': drills.checks of the configuration names none.`;
  return {
    ...verdictOf(checks, found.error),
    error: found.error?.toDocument() ?? null,
    kind: 'dump',
    backupId: null,
    dump: {
      id: record.id,
      database: record.database,
      tier: record.tier,
      storedBytes: parts.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
      takenAt: record.startedAt,
      file: record.importedFrom ?? `${location}/${dumpKey(cluster.name, record.id)}`,
    },
    restored: restored === null ? null : { tables: restored.tables, largest: restored.largest },
    target: record.database,
    reached: null,
    reachedWal: null,
    phases: phases.list,
    rtoSeconds: found.rtoSeconds ?? null,
    rpoSeconds: round(Math.max(0, (startedAt.getTime() - Date.parse(record.startedAt)) / 1000)),
    rpoReason: `the age of the dump when the drill began: its snapshot is of ${record.startedAt}`,
    targetErrorSeconds: null,
    checks,
    rpoMeasured: null,
    objectives: { rpoSeconds: config.objectives.dump ?? null, rtoSeconds: config.objectives.rto ?? null },
    notes: [
      ...notes,
      ...(wanted.length === 0 ? [noQuestions] : []),
      ...(restored === null ? [] : [...restored.conflicts, ...restored.notes]),
      ...fallbackNotes(copies),
    ],
    fallbacks: [...copies.fallbacks],
  };
}

const round = (seconds: number): number => Math.round(seconds * 1000) / 1000;
