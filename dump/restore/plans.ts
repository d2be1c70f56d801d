import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { PgproofError } from '../../core/errors.ts';
import { isRunId } from '../../core/ids.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { readDocument } from '../../restore/plans.ts';
import { writeDurably } from '../../storage/durable-file.ts';
import { type AnyDumpPlan, dumpPlan, wholePlan } from './plan-record.ts';
import type { PlannedResult, WholeResult } from './result.ts';

/** Writes the plan, 0600, and answers once it is durable. */
export async function saveDumpPlan(cluster: ProtectedCluster, plan: AnyDumpPlan): Promise<void> {
  await writeDurably(fileOf(cluster, plan.id), JSON.stringify(plan));
}

/**
 * Null: there is no such plan, or it is one of a physical restore (restore/plans.ts reads those, and says what is wrong).
 * @throws {PgproofError} `plan-invalid` when it is not readable, or another cluster's.
 */
export async function loadDumpPlan(cluster: ProtectedCluster, id: string): Promise<AnyDumpPlan | null> {
  if (!isRunId(id)) return null;
  const any = await readDocument(fileOf(cluster, id), z.looseObject({ kind: z.unknown().optional() }).nullable());
  if (any?.kind !== 'dump' && any?.kind !== 'whole') return null;
  const plan = await readDocument(fileOf(cluster, id), z.discriminatedUnion('kind', [dumpPlan, wholePlan]));
  const isOurs = cluster.repositories.some((one) => plan?.repositoryIds.includes(one.id));
  if (plan !== null && plan.cluster === cluster.name && isOurs) return plan;
  throw new PgproofError('plan-invalid', `the restore plan '${id}' was made for another cluster or repository`, {
    facts: { plan: id, cluster: plan?.cluster ?? '' },
    hint: 'Plan the restore again.',
  });
}

/** Kept beside the plan, so that a step that is repeated after the end has its answer. */
export async function savePlannedResult(cluster: ProtectedCluster, result: PlannedResult | WholeResult): Promise<void> {
  await writeDurably(resultOf(cluster, result.planId), JSON.stringify(result));
}

/** Null while the restore is not done. */
export async function loadPlannedResult<Result>(
  cluster: ProtectedCluster,
  id: string,
  schema: z.ZodType<Result>,
): Promise<Result | null> {
  return readDocument(resultOf(cluster, id), schema);
}

/** That the plan's rows are on their way into a database that holds others. */
export async function noteBegun({ paths }: ProtectedCluster, id: string): Promise<void> {
  await writeDurably(begunOf(paths, id), '{}');
}

/** Whether a start had begun, and nobody knows what came of it. */
export async function wasBegun({ paths }: ProtectedCluster, id: string): Promise<boolean> {
  return (await readDocument(begunOf(paths, id), z.object({}).nullable())) !== null;
}

/** What had begun was taken back. */
export async function forgetBegun({ paths }: ProtectedCluster, id: string): Promise<void> {
  await rm(begunOf(paths, id), { force: true });
}

const begunOf = (paths: ProtectedCluster['paths'], id: string): string => join(paths.plans, `${id}.begun.json`);
const fileOf = ({ paths }: ProtectedCluster, id: string): string => join(paths.plans, `${id}.json`);
const resultOf = ({ paths }: ProtectedCluster, id: string): string => join(paths.plans, `${id}.result.json`);
