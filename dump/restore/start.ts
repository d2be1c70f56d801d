import type { ConnectionConfig, DrillCheckConfig } from '../../core/config.ts';
import { asPgproofError, hasCode, PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { refuseFailed } from './checks.ts';
import { dropDatabase, isMarked, marksOf } from './database.ts';
import { finishDatabase, workingName } from './finish.ts';
import { carriedOutOnce, type StartOptions } from './once.ts';
import { isShared } from './options.ts';
import { connectionOf, type RestoreServer } from './plan.ts';
import type { DumpPlan } from './plan-record.ts';
import { forgetBegun, noteBegun, savePlannedResult, wasBegun } from './plans.ts';
import { findRestorers } from './programs.ts';
import { restoreDump } from './restore.ts';
import { type DumpRestoreResult, type PlannedResult, plannedResult } from './result.ts';
import { inScratch } from './scratch.ts';
import { lookAtServer } from './server.ts';
import type { DumpSource } from './source.ts';

/**
 * Carries out the plan of a dump's restore. A database that it made and did not finish stays, named by its comment, and is made
 * anew when the same plan is started again; no other database is ever dropped.
 * @throws {PgproofError} `restore-unconfirmed`, `backup-deleted`, `restore-unverified` where an assertion fails; what `restoreDump` throws.
 */
export async function startDumpRestore(
  cluster: ProtectedCluster,
  plan: DumpPlan,
  server: RestoreServer,
  run: Run,
  options: StartOptions,
): Promise<PlannedResult> {
  return carriedOutOnce(cluster, plan, plannedResult, run, options, (source, inner) =>
    carryOut(cluster, plan, source, server, inner),
  );
}

async function carryOut(
  cluster: ProtectedCluster,
  plan: DumpPlan,
  source: DumpSource,
  server: RestoreServer,
  run: Run,
): Promise<PlannedResult> {
  const connection = connectionOf(server, plan.user);
  const working = workingName(plan);
  const marker = markerOf(plan);
  if (await wasBegun(cluster, plan.id)) throw begunBefore(plan);
  await dropOwn(connection, plan, working, marker, run);
  const { major } = await lookAtServer(connection, working, run);
  const tools = await findRestorers(server.config.tools, source, major);
  try {
    const into = {
      connection,
      tools,
      database: working,
      mode: plan.mode === 'replace' ? ('new' as const) : plan.mode,
      checks: checksOf(cluster, plan, source),
      marker,
      // Nothing else would be wrong when it is done twice.
      ...(plan.mode === 'add' ? { onLoad: () => noteBegun(cluster, plan.id) } : {}),
    };
    const restored = await inScratch(cluster, (staging) =>
      restoreDump(source, { ...into, staging }, plan.options, run),
    );
    refuseFailed(restored.checks, { database: working });
    return await finish(cluster, plan, connection, restored, run);
  } catch (error) {
    if (wasTakenBack(error)) await forgetBegun(cluster, plan.id);
    throw await tellingWhatStays(error, connection, plan, working, marker);
  }
}

/** Where the connection broke, the last word may have been its COMMIT. */
const wasTakenBack = (error: unknown): error is PgproofError =>
  hasCode(error, 'dump-restore-failed') && !/connection/.test(error.message);

function begunBefore({ id, cluster, database }: DumpPlan): PgproofError {
  return new PgproofError(
    'restore-unverified',
    `an earlier start of plan ${id} had begun to add to the database '${database}', and was cut off: whether it came to its end, is not known`,
    {
      facts: { plan: id, database },
      hint: `It was one transaction: look whether its rows are in '${database}'. If they are not, plan the restore again: pgproof restore plan ${cluster}`,
    },
  );
}

/** Of a part of a database nothing can be asked. */
function checksOf(
  { config }: ProtectedCluster,
  { options, mode }: DumpPlan,
  { database }: DumpSource,
): DrillCheckConfig[] {
  const isWhole = options.content === 'all' && mode !== 'add' && mode !== 'clean';
  const isSelected = options.tables.length > 0 || options.schemas.length > 0 || options.select !== null;
  return isWhole && !isSelected ? config.drills.checks.filter((check) => check.database === database) : [];
}

async function finish(
  cluster: ProtectedCluster,
  plan: DumpPlan,
  connection: ConnectionConfig,
  restored: DumpRestoreResult,
  run: Run,
): Promise<PlannedResult> {
  const { replaced } = await finishDatabase(connection, plan, run);
  const result: PlannedResult = {
    ...restored,
    kind: 'dump',
    database: plan.database,
    planId: plan.id,
    server: plan.server,
    mode: plan.mode,
    replaced,
    notes: [...new Set([...plan.notes, ...restored.notes])],
    finishedAt: new Date().toISOString(),
  };
  await savePlannedResult(cluster, result);
  return result;
}

export const markerOf = ({ id }: Pick<DumpPlan, 'id'>): string => `pgproof: not finished, by restore plan ${id}`;

/** What an earlier attempt of the same plan made and did not finish goes; nothing else is dropped. */
async function dropOwn(
  connection: ConnectionConfig,
  { mode }: DumpPlan,
  working: string,
  marker: string,
  run: Run,
): Promise<void> {
  if (mode !== 'new' && mode !== 'replace') return;
  if (!isMarked(await marksOf(connection, working, run), marker)) return;
  run.progress({ phase: 'prepare', note: `what an earlier attempt made of '${working}' is dropped` });
  await dropDatabase(connection, working, run);
}

/** A failed restore names the database that it leaves behind. Takes no signal: it tells of cancelled ones, too. */
async function tellingWhatStays(
  thrown: unknown,
  connection: ConnectionConfig,
  { cluster, id, mode, database }: DumpPlan,
  working: string,
  marker: string,
): Promise<PgproofError> {
  const error = asPgproofError(thrown);
  const stays = async (): Promise<string | null> => {
    if (error.code === 'database-in-use') return null; // it says by itself what to do
    if (isShared(mode) && wasTakenBack(thrown))
      return `It was one transaction: the database '${database}' is as it was.`;
    if (mode === 'existing' || isShared(mode)) return `The database '${database}' may have been changed in part.`;
    const signal = AbortSignal.timeout(10_000);
    const isOurs = isMarked(await marksOf(connection, working, { signal }), marker);
    return isOurs
      ? `The database '${working}' stays as it is, unfinished; pgproof restore start ${cluster} ${id} makes it anew.`
      : null;
  };
  const what = await stays().catch(() => `Whether the database '${working}' was made, could not be asked.`);
  const hint = [error.hint, what].filter((text) => text !== null).join(' ');
  return error.retold({ facts: { database: working }, hint: hint === '' ? null : hint });
}
