import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { abortReason } from '../core/abort.ts';
import { PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import type { SegmentName } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type RunningServer, startServer } from '../postgres/control.ts';
import { findTools } from '../postgres/tools.ts';
import type { Nearest } from '../repository/nearest.ts';
import { inPlace } from '../wal/in-place.ts';
import { type Prefetch, startPrefetch } from '../wal/prefetch.ts';
import { recoverySettings, writeServerFiles } from './configure.ts';
import { RecoveryLog } from './log.ts';
import { logFile } from './plans.ts';
import type { Reached, RestoreMode, RestorePlan } from './record.ts';
import { makeWorkFolder, removeWorkFolder, workFolder } from './work.ts';

export type RecoverOptions = {
  /** Folder for what recovery needs beside the data; removed at its end. @defaultValue one among the cluster's own */
  workRoot?: string;
  /** How long an outage of the store is waited out. @defaultValue 300 */
  patienceSeconds?: number;
  /** After this long a single read counts as failed. @defaultValue 60 */
  attemptSeconds?: number;
  /** @defaultValue the cluster's repositories */
  copies?: Nearest;
};

export type Recovery = {
  /** `restore`: promoted, on its new timeline. `sandbox`: paused at the target, answering queries. */
  server: RunningServer;
  reached: Reached;
  /** Ends the server and all that fed it, and removes the work folder. Safe to call twice. */
  stop(mode: 'fast' | 'immediate'): Promise<void>;
};

/** The last checkpoint flushes what recovery left in memory: tens of gigabytes to a slow disk. Cut off, the stop is no clean one. */
const checkpointSeconds = 7200;

/**
 * Starts a private server on the configured folder, feeds it the plan's WAL, and answers once it stands at the target. It
 * never promotes short of it: a store that is away ends in an error, and the same call later goes on where this one stopped.
 * @throws {PgproofError} the store's error when WAL could not be had; `recovery-unreached`; `recovery-failed` with the end of
 * PostgreSQL's log; the signal's reason. Nothing runs after a throw.
 */
export async function recover(
  cluster: ProtectedCluster,
  plan: RestorePlan,
  mode: RestoreMode,
  run: Run,
  options: RecoverOptions = {},
): Promise<Recovery> {
  const tools = await findTools(cluster.config.tools.bin, plan.major);
  const work = workFolder(cluster, plan, options.workRoot);
  await makeWorkFolder(work);
  await writeServerFiles(work);
  const settings = await recoverySettings(cluster, plan, mode, work);
  const path = logFile(cluster, plan.id);
  const log = new RecoveryLog(path, await bytesOf(path));
  let prefetch: Prefetch | null = null;
  let server: RunningServer | null = null;
  const stop = async (how: 'fast' | 'immediate') => {
    await server?.stop(how, checkpointSeconds);
    await prefetch?.stop();
    await removeWorkFolder(work);
  };
  try {
    const forReplay = (bytes: Uint8Array, name: SegmentName) => inPlace(bytes, name, plan.created);
    prefetch = await startPrefetch(cluster, plan.inventory, work.wal, { ...options, forReplay, signal: run.signal });
    const { user } = cluster.config.connection;
    server = await startServer({
      tools,
      dataDir: plan.into,
      socketDir: work.root,
      settings,
      logFile: path,
      signal: run.signal,
      wait: 'none',
      user,
    });
    await untilThere(server, log, plan, mode, run, prefetch);
    return { server, reached: await reachedBy(path, plan, mode), stop };
  } catch (error) {
    await stop('immediate');
    throw error;
  }
}

async function untilThere(
  server: RunningServer,
  log: RecoveryLog,
  plan: RestorePlan,
  mode: RestoreMode,
  run: Run,
  prefetch: Prefetch,
): Promise<void> {
  const { segments, segmentBytes } = plan.inventory;
  let told = Number.NEGATIVE_INFINITY;
  for (;;) {
    if (performance.now() - told >= 1000) {
      told = performance.now();
      run.progress({
        phase: 'recover',
        doneBytes: log.restored * segmentBytes,
        totalBytes: segments.length * segmentBytes,
      });
    }
    const exit = await Promise.race([server.exited, sleep(50, undefined)]);
    if (run.signal.aborted) throw abortReason(run.signal);
    await log.read();
    if (exit !== undefined) throw await whyEnded(log, plan, exit, prefetch);
    if (mode === 'restore' ? log.ready === 'primary' : log.ready === 'standby' && log.paused) return;
    if (log.stuck !== null) throw failed(plan, log.stuck, log);
  }
}

/** Why there is no more server: first of all what the prefetcher could not deliver, then PostgreSQL's own words. */
async function whyEnded(
  log: RecoveryLog,
  plan: RestorePlan,
  exit: { code: number | null; signal: string | null },
  prefetch: Prefetch,
): Promise<PgproofError> {
  const cause = await prefetch.failure();
  if (cause !== null) {
    return cause.retold({
      message: `recovery stopped before its target, and did not promote: ${cause.message}`,
      facts: { planId: plan.id, path: plan.into },
      hint: cause.permanent
        ? (cause.hint ?? 'Plan a restore to a target before this segment.')
        : 'Start the same restore again: it goes on where it stopped.',
    });
  }
  if (log.fatal?.includes('recovery ended before configured recovery target was reached')) {
    return new PgproofError(
      'recovery-unreached',
      'recovery came to the end of the WAL before its target, and did not promote',
      {
        facts: { planId: plan.id, path: plan.into, expectedLsn: plan.expected.lsn, log: log.lastLines },
        hint: 'Plan the restore again: the plan reads what the archive holds now.',
      },
    );
  }
  return failed(plan, log.fatal ?? `the server ended with ${exit.signal ?? exit.code}`, log);
}

function failed(plan: RestorePlan, why: string, log: RecoveryLog): PgproofError {
  return new PgproofError('recovery-failed', `recovery failed, and did not promote: ${why}`, {
    facts: { planId: plan.id, path: plan.into, log: log.lastLines },
    hint: 'The whole log lies beside the plan.',
  });
}

/** Read from the whole log: a recovery that was interrupted after its end has told in an earlier start. */
async function reachedBy(path: string, plan: RestorePlan, mode: RestoreMode): Promise<Reached> {
  const log = new RecoveryLog(path, 0);
  await log.read();
  const { reached } = log;
  if (reached.reason === null) {
    throw new PgproofError(
      'recovery-unreached',
      'the server is up, but its log does not say that recovery stopped at its target',
      {
        facts: { planId: plan.id, path: plan.into, mode, log: log.lastLines },
      },
    );
  }
  // PostgreSQL notes a commit's time after it looked whether to stop there, so at a position it names the one before.
  const same = plan.recovery.setting === 'recovery_target_lsn' && reached.lsn === plan.expected.lsn;
  return same && plan.expected.lastCommitAt !== null
    ? { ...reached, lastCommitAt: plan.expected.lastCommitAt }
    : reached;
}

async function bytesOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
