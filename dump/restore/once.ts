import type * as z from 'zod';
import { asPgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { findDumpIn } from '../../repository/merged.ts';
import { letGo, releasePlan } from '../../restore/hold.ts';
import { withPlanLock } from '../../restore/lock.ts';
import { refuseUnconfirmed } from './confirm.ts';
import { holdDump } from './hold.ts';
import type { AnyDumpPlan, PlannedFile } from './plan-record.ts';
import { loadPlannedResult } from './plans.ts';
import { type DumpSource, dumpSource } from './source.ts';

export type StartOptions = {
  /** Opens the file of a plan that has one (import/). */
  openFile(file: PlannedFile): Promise<DumpSource>;
};

/**
 * Carries out a plan that somebody confirmed, by this process alone, and once: what it came to is answered again afterwards. Its dump is
 * held meanwhile.
 * @throws {PgproofError} `restore-unconfirmed`, `cluster-busy`, `backup-deleted`; what `carryOut` throws.
 */
export async function carriedOutOnce<Result extends { finishedAt: string; notes: string[] }>(
  cluster: ProtectedCluster,
  plan: AnyDumpPlan,
  schema: z.ZodType<Result>,
  run: Run,
  options: StartOptions,
  carryOut: (source: DumpSource, run: Run) => Promise<Result>,
): Promise<Result> {
  refuseUnconfirmed(plan);
  return withPlanLock(cluster, plan, run.signal, async (signal) => {
    const done = await loadPlannedResult(cluster, plan.id, schema);
    if (done !== null) return doneBefore(done);
    return 'id' in plan.dump
      ? whileHeld(cluster, plan, plan.dump.id, { ...run, signal }, carryOut)
      : carryOut(await options.openFile(plan.dump.file), { ...run, signal });
  });
}

function doneBefore<Result extends { finishedAt: string; notes: string[] }>(done: Result): Result {
  const note = `This plan was carried out already, at ${done.finishedAt}; nothing was touched again.`;
  return { ...done, notes: [...done.notes, note] };
}

/** The plan's own hold goes with its success: a restore that failed may be tried again. */
async function whileHeld<Result extends { notes: string[] }>(
  cluster: ProtectedCluster,
  plan: AnyDumpPlan,
  id: string,
  run: Run,
  carryOut: (source: DumpSource, run: Run) => Promise<Result>,
): Promise<Result> {
  const held = await holdDump(cluster, 'restore', id, run);
  try {
    const record = await findDumpIn(cluster.repositories, cluster.keys, cluster.name, id, run);
    const result = await carryOut(dumpSource(cluster, record), run);
    await releasePlan(cluster, plan.holds).catch((error: unknown) => {
      held.notes.push(`What the plan holds was not released (${asPgproofError(error).message}): it ends by itself.`);
    });
    await letGo(held);
    return { ...result, notes: [...result.notes, ...held.notes] };
  } catch (error) {
    await letGo(held);
    throw error;
  }
}
