import { join } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { withFolderLock } from '../wal/spool-lock.ts';
import type { RestorePlan } from './record.ts';

/**
 * Runs `use` as the only one that carries out this plan: an attempt that Temporal gave up may still be running beside its
 * successor. The lock ends with its holder, however that ends.
 * @throws {PgproofError} `cluster-busy`
 */
export function withPlanLock<T>(
  { name, paths }: ProtectedCluster,
  plan: Pick<RestorePlan, 'id'>,
  signal: AbortSignal,
  use: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const busy = (cause: PgproofError) =>
    new PgproofError('cluster-busy', `another process carries out the restore plan ${plan.id} of cluster ${name}`, {
      facts: { cluster: name, plan: plan.id },
      hint: 'Wait for it, or cancel it.',
      cause,
    });
  return withFolderLock(join(paths.plans, `${plan.id}.lock`), busy, signal, use);
}
