import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode, PgproofError } from '../core/errors.ts';
import type { Phase } from '../core/report.ts';
import type { Run } from '../core/run.ts';
import { formatTarget } from '../core/target.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { findTools } from '../postgres/tools.ts';
import { whileHeld } from '../repository/held.ts';
import { Nearest } from '../repository/nearest.ts';
import { markFetched, prepareFolder } from './clean.ts';
import { configureRecovery } from './configure.ts';
import { fallbackNotes } from './fallbacks.ts';
import { fetchBackup, makeDurable } from './fetch.ts';
import { configurationNotes, handOver, openingStatement, startCommand } from './handover.ts';
import { holdPlanned } from './hold.ts';
import { withPlanLock } from './lock.ts';
import { readMarker, removeMarker } from './marker.ts';
import { phaseTimer } from './phases.ts';
import { loadPlan, loadResult, saveResult } from './plans.ts';
import type { Reached, RestorePlan, RestoreResult } from './record.ts';
import { type RecoverOptions, recover } from './recover.ts';
import { withoutStanding } from './stall.ts';
import { linkCreated } from './tablespaces.ts';
import { verifyBackup } from './verify.ts';

export type RestoreOptions = RecoverOptions & {
  /** A fetch in which nothing moves for so long is given up. @defaultValue 900 */
  stallSeconds?: number;
};

/**
 * Carries out a plan: files, verified by PostgreSQL's own manifest, recovery to the target, promotion, and a clean stop. What
 * was interrupted goes on where its files can be trusted; what is done answers what it came to.
 * @throws {PgproofError} `plan-missing`, `backup-deleted`, `target-folder`, `object-damaged`, `restore-unverified`, `recovery-failed`,
 * `recovery-unreached`, the store's errors, …; the folder is then no server, and the same call may be made again.
 */
export async function startRestore(
  cluster: ProtectedCluster,
  planId: string,
  run: Run,
  options: RestoreOptions = {},
): Promise<RestoreResult> {
  const plan = await loadPlan(cluster, planId);
  refuseOtherActions(plan);
  return withPlanLock(cluster, plan, run.signal, async (signal) => {
    const done = await resultOfEarlier(cluster, plan);
    if (done !== null) return doneBefore(done);
    const inner = { ...run, signal };
    const held = await holdPlanned(cluster, plan, inner);
    return whileHeld(cluster, held, plan.holds, () => carryOut(cluster, plan, inner, options));
  });
}

/** Asked again after the end: the folder is somebody's server by now, and is not looked at. */
function doneBefore(done: RestoreResult): RestoreResult {
  const note = `This plan was carried out already, at ${done.finishedAt}; the folder was not touched again.`;
  return { ...done, notes: [...done.notes, note] };
}

/** Where the files of a backup come from. */
export type Source = {
  /** Unpacks them into the plan's folder. */
  fetch(run: Run, copies: Nearest): Promise<unknown>;
  /** Compares what was unpacked with PostgreSQL's manifest. */
  verify(): Promise<void>;
  /** What recovery demands at least, where the plan could not know it. */
  minimums?(): Promise<RestorePlan['minimums']>;
};

/** The steps of a restore, for whoever holds the plan's lock. @param source @defaultValue the cluster's repositories */
export async function carryOut(
  cluster: ProtectedCluster,
  plan: RestorePlan,
  run: Run,
  { stallSeconds = 900, ...options }: RestoreOptions,
  source: Source = fromRepositories(cluster, plan, run),
): Promise<RestoreResult> {
  const phases: Phase[] = [];
  const copies = options.copies ?? new Nearest(cluster.repositories);
  const timed = phaseTimer(phases, run);
  const next = await timed('prepare', () => prepareFolder(cluster, plan));
  if (next === 'fetch') {
    await timed('fetch', () => withoutStanding(run, stallSeconds, (watched) => source.fetch(watched, copies)));
    // Verification reads what lies in memory, while that goes to the disk.
    await timed('verify', () => both(source.verify(), makeDurable(plan.into, run.signal)));
    await timed('configure', () => configureRecovery(plan, 'restore'));
    await timed('sync', () => makeDurable(plan.into, run.signal));
    await markFetched(plan);
  }
  const told = { ...plan, minimums: highest(plan.minimums, await source.minimums?.()) };
  const reached = await timed('recover', () => recoverAndStop(cluster, told, run, { ...options, copies }));
  await linkCreated(plan);
  await timed('hand over', () => handOver(plan.into)); // the last change to the folder
  return finish(cluster, plan, reached, phases, copies);
}

const fromRepositories = (cluster: ProtectedCluster, plan: RestorePlan, run: Run): Source => ({
  fetch: (watched, copies) =>
    fetchBackup(cluster, plan, watched, copies).catch((error: unknown) => {
      throw isBroken(error) ? unusable(error, plan) : error;
    }),
  verify: () => verifyBackup(cluster, plan, run),
});

const isBroken = (error: unknown): error is PgproofError =>
  hasCode(error, 'object-damaged') || hasCode(error, 'object-missing');

/** What is wrong with one object is wrong with its backup, and an older one may reach the same target. */
function unusable(error: PgproofError, { backupId, cluster }: RestorePlan): PgproofError {
  return error.retold({
    message: `backup ${backupId} cannot be restored: ${error.message}`,
    facts: { backupId },
    hint: `Another one may do: \`pgproof list ${cluster}\`, and the same plan with --backup ID. What else is damaged: \`pgproof verify ${cluster}\``,
  });
}

function highest(one: RestorePlan['minimums'], other: RestorePlan['minimums'] = {}): RestorePlan['minimums'] {
  const names = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  return Object.fromEntries(names.map((name) => [name, Math.max(one[name] ?? 0, other[name] ?? 0)]));
}

/** Waits for both, also when one fails: nothing of an ended restore goes on. */
async function both(...work: Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(work)) if (outcome.status === 'rejected') throw outcome.reason;
}

/** Stopped cleanly: whoever starts it next needs no WAL from anywhere. */
async function recoverAndStop(
  cluster: ProtectedCluster,
  plan: RestorePlan,
  run: Run,
  options: RecoverOptions,
): Promise<Reached> {
  const recovery = await recover(cluster, plan, 'restore', run, options);
  await recovery.stop('fast');
  return recovery.reached;
}

async function finish(
  cluster: ProtectedCluster,
  plan: RestorePlan,
  reached: Reached,
  phases: Phase[],
  copies: Nearest,
): Promise<RestoreResult> {
  const tools = await findTools(cluster.config.tools.bin, plan.major);
  const result = {
    planId: plan.id,
    backupId: plan.backupId,
    target: formatTarget(plan.target),
    reached,
    dataDir: plan.into,
    phases,
    startCommand: startCommand(tools, plan.into),
    openingStatement: await openingStatement(plan.into),
    notes: [...plan.notes, ...fallbackNotes(copies), ...(await configurationNotes(plan))],
    fallbacks: [...copies.fallbacks],
    fallbackCount: copies.count,
    finishedAt: new Date().toISOString(),
  };
  await saveResult(cluster, result);
  await removeMarker(plan.into);
  return result;
}

/** The answer of a restore that is done already, while its folder is still there. */
async function resultOfEarlier(cluster: ProtectedCluster, plan: RestorePlan): Promise<RestoreResult | null> {
  const result = await loadResult(cluster, plan.id);
  if (result === null || !(await isThere(join(plan.into, 'PG_VERSION')))) return null;
  // Interrupted between the last two steps.
  if ((await readMarker(plan.into))?.planId === plan.id) await removeMarker(plan.into);
  return result;
}

function refuseOtherActions({ target, id }: RestorePlan): void {
  if (target.action === 'promote') return;
  throw new PgproofError(
    'plan-invalid',
    `the plan '${id}' asks to ${target.action} at its target, and a restore ends promoted and stopped`,
    {
      facts: { plan: id, action: target.action },
    },
  );
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
