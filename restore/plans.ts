import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import { isRunId } from '../core/ids.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { writeDurably } from '../storage/durable-file.ts';
import { type RestorePlan, type RestoreResult, restorePlan, restoreResult } from './record.ts';

/** Writes the plan, 0600, and answers once it is durable. */
export async function savePlan(cluster: ProtectedCluster, plan: RestorePlan): Promise<void> {
  await writeDurably(planFile(cluster, plan.id), JSON.stringify(plan));
}

/** @throws {PgproofError} `plan-missing`; `plan-invalid` when it is not readable, or is another cluster's or repository's. */
export async function loadPlan(cluster: ProtectedCluster, id: string): Promise<RestorePlan> {
  const plan = await readDocument(planFile(cluster, id), restorePlan);
  if (plan === null) {
    throw new PgproofError('plan-missing', `there is no restore plan '${id}' of cluster ${cluster.name} on this host`, {
      facts: { plan: id, cluster: cluster.name },
      hint: `Make one: pgproof restore plan ${cluster.name} --to TARGET --into FOLDER`,
    });
  }
  const planned = [plan.repositoryId, ...plan.repositoryIds];
  if (plan.cluster === cluster.name && cluster.repositories.some((one) => planned.includes(one.id))) return plan;
  throw new PgproofError('plan-invalid', `the restore plan '${id}' was made for another cluster or repository`, {
    facts: { plan: id, cluster: plan.cluster, repository: plan.repositoryId },
    hint: 'Plan the restore again.',
  });
}

/** What the restore came to, kept beside its plan, so that a step that is repeated after the end has its answer. */
export async function saveResult(cluster: ProtectedCluster, result: RestoreResult): Promise<void> {
  await writeDurably(resultFile(cluster, result.planId), JSON.stringify(result));
}

/** Null while the restore is not done. */
export async function loadResult(cluster: ProtectedCluster, id: string): Promise<RestoreResult | null> {
  return readDocument(resultFile(cluster, id), restoreResult);
}

/** PostgreSQL's log of the recovery; it stays, beside the plan. */
export function logFile(cluster: ProtectedCluster, id: string): string {
  return join(cluster.paths.plans, `${id}.log`);
}

function planFile(cluster: ProtectedCluster, id: string): string {
  if (isRunId(id)) return join(cluster.paths.plans, `${id}.json`);
  throw new PgproofError('plan-missing', `'${id}' is not the id of a restore plan`, {
    facts: { plan: id },
    hint: 'It stands in what `pgproof restore plan` prints, such as 20261120T061105Z-restore-9df749e6. Plans can be made as often as you like.',
  });
}

function resultFile(cluster: ProtectedCluster, id: string): string {
  return planFile(cluster, id).replace(/\.json$/, '.result.json');
}

export async function readDocument<T extends z.ZodType>(path: string, schema: T): Promise<z.output<T> | null> {
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message;
    throw new PgproofError('plan-invalid', `'${path}' is not readable: ${why}`, {
      facts: { path },
      hint: 'Plan the restore again.',
      cause,
    });
  }
}
