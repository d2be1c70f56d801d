import type * as z from 'zod';
import type { Run } from '../../core/run.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { heldSeconds, holdInEach, releaseEarlier, whileHeld } from '../../repository/held.ts';
import { findDumpIn } from '../../repository/merged.ts';
import { withPlanLock } from '../../restore/lock.ts';
import { refuseUnconfirmed } from './confirm.ts';
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
    const inner = { ...run, signal };
    if (!('id' in plan.dump)) return carryOut(await options.openFile(plan.dump.file), inner);
    const { id } = plan.dump;
    const whom = { operation: 'restore', reason: `plan ${plan.id}` } as const;
    const held = await holdInEach(cluster, { ...whom, seconds: heldSeconds }, { needs: [], dumps: [id] }, inner);
    await releaseEarlier(cluster, whom, held);
    return whileHeld(cluster, held, plan.holds, async () => {
      const record = await findDumpIn(cluster.repositories, cluster.keys, cluster.name, id, inner);
      return carryOut(dumpSource(cluster, record), inner);
    });
  });
}

function doneBefore<Result extends { finishedAt: string; notes: string[] }>(done: Result): Result {
  const note = `This plan was carried out already, at ${done.finishedAt}; nothing was touched again.`;
  return { ...done, notes: [...done.notes, note] };
}
