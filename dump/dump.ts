import { randomBytes } from 'node:crypto';
import { asPgproofError, hasCode, type PgproofError } from '../core/errors.ts';
import { runId } from '../core/ids.ts';
import type { Run } from '../core/run.ts';
import { withStallWatch } from '../parts/stall.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type Attempt, withAttempt } from './attempt.ts';
import { commit, type TakenDump } from './commit.ts';
import { type DumpTakeOptions, planDump } from './job.ts';
import { clearLeftovers, takeBack } from './leftovers.ts';
import { type DumpFit, inspectGround, preflight } from './preflight.ts';
import { recordOf } from './record.ts';
import { recoveryConflicts } from './sessions.ts';
import { takeGlobals, takeTarget } from './take.ts';
import type { DumpTarget } from './target.ts';
import { type DumpAsked, targetsOf, wantedOf } from './targets.ts';

export type { TakenDump } from './commit.ts';
export type { DumpTakeOptions } from './job.ts';
export type { DumpTarget } from './target.ts';

/**
 * What a request comes to, a dump each; refuses what would fail later, before anything is written.
 * @throws {PgproofError} `database-missing`, `tool-missing`, `tool-outdated`, `dump-refused`, `owner-other`; what `withClient` throws; why
 * a required repository cannot be used.
 */
export async function dumpTargets(cluster: ProtectedCluster, asked: DumpAsked, run: Run): Promise<DumpTarget[]> {
  const wanted = wantedOf(cluster.config, asked);
  const ground = await inspectGround(cluster, [asked.encoding ?? null], run);
  return targetsOf(wanted, asked, ground.databases);
}

/**
 * Takes one dump from beginning to end: dump, verify, commit. Each call draws its own id, and nothing of a failed one is listed.
 * @throws {PgproofError} what `dumpTargets` throws; `rights-missing`; `tool-failed`, `dump-unverified`, `tar-invalid`, `timeout`,
 * `no-space`, `store-unreachable`.
 */
export async function takeDump(
  cluster: ProtectedCluster,
  target: DumpTarget,
  run: Run,
  options: DumpTakeOptions = {},
): Promise<TakenDump> {
  const fit = await preflight(cluster, target, run); // refuses what would fail later
  await clearLeftovers(cluster, fit.copies, run);
  const id = runId(new Date(), 'logical', randomBytes(4).toString('hex'));
  return withAttempt(cluster, id, async (attempt) => {
    try {
      return await attemptDump(cluster, target, fit, attempt, run, options);
    } catch (error) {
      throw await withdraw(cluster, attempt, asPgproofError(error));
    }
  });
}

async function attemptDump(
  cluster: ProtectedCluster,
  target: DumpTarget,
  fit: DumpFit,
  attempt: Attempt,
  run: Run,
  options: DumpTakeOptions,
): Promise<TakenDump> {
  run.progress({ phase: 'dump', doneBytes: 0 });
  const job = await planDump(cluster, target, fit, attempt, run, options);
  const stall = { seconds: options.stallSeconds ?? 900, serverHint };
  const before = await conflictsOf(cluster, target, fit, run.signal);
  try {
    const record = await withStallWatch(run.signal, stall, async (watch) => {
      const withGlobals = target.kind === 'database' && target.options.globals;
      const globals = withGlobals ? await takeGlobals(job, watch) : null; // first: the roles exist that own what follows
      const dump = await takeTarget(job, watch);
      return recordOf(job, dump, globals, new Date());
    });
    return await commit(cluster, fit.copies, record, run); // until now the dump does not exist
  } catch (error) {
    throw await withConflicts(cluster, target, before, error, run.signal);
  }
}

const serverHint =
  'Look for a session that holds a lock on one of its tables (ALTER TABLE, VACUUM FULL), a lost connection, or a stopped server.';

/** Null where there can be none. */
function conflictsOf(
  cluster: ProtectedCluster,
  { database }: DumpTarget,
  { server }: DumpFit,
  signal: AbortSignal,
): Promise<number> | null {
  return server.inRecovery && database !== null ? recoveryConflicts(cluster, database, signal) : null;
}

/** pg_dump tells no code. The standby counts what it cancelled. */
async function withConflicts(
  cluster: ProtectedCluster,
  { database }: DumpTarget,
  before: number | null,
  error: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  if (before === null || !hasCode(error, 'tool-failed')) return error;
  const after = await recoveryConflicts(cluster, database as string, signal).catch(() => before);
  if (after === before) return error;
  return error.retold({
    message: `${error.message}; on the standby replay had to go on`,
    facts: { recoveryConflicts: after - before },
    hint: 'Let replay wait for it (max_standby_streaming_delay, max_standby_archive_delay; hot_standby_feedback against most of them), or dump from the primary (prefer: primary).',
  });
}

/** How long a failed attempt may take to clean up after itself; the next one would do it as well. */
const withdrawSeconds = 60;

/** A repository that ran full must not stay full of what nobody will ever commit. */
async function withdraw(cluster: ProtectedCluster, attempt: Attempt, reason: PgproofError): Promise<PgproofError> {
  try {
    await takeBack(cluster, attempt.id, AbortSignal.timeout(withdrawSeconds * 1000));
    return reason;
  } catch {
    attempt.leaveNote();
    // The reason is what the caller must hear; what could not be cleaned is cleaned by the next dump, and said here.
    return reason.retold({ facts: { leftovers: true } });
  }
}
