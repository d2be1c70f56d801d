import type { PgproofError } from '../core/errors.ts';
import type { FiledReport } from '../core/report.ts';
import type { ExpireRequest } from '../core/request.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { expireOutcome } from '../report/expire.ts';
import { reported } from '../report/file.ts';
import type { Workflow } from '../report/report.ts';
import { expireCluster, expireError } from './cluster.ts';

export type ExpireOrder = Pick<ExpireRequest, 'repository' | 'confirmed' | 'reason' | 'requestedBy'> & {
  timezone: string;
  /** When it began, where that was before. */
  startedAt?: string;
};

/**
 * Expires a cluster and files the report of it.
 * @throws {PgproofError} `expire-refused` where a person has to confirm it, or what a repository failed with; the fact `report` is the
 * key of the report, which tells of each repository.
 */
export async function reportedExpire(
  cluster: ProtectedCluster,
  { repository, confirmed, timezone, ...asked }: ExpireOrder,
  run: Run,
  workflow: Workflow | null,
): Promise<FiledReport> {
  const order = { operation: 'expire', workflow, ...asked, mode: repository ?? 'all' } as const;
  let error: PgproofError | undefined;
  const filed = await reported(cluster, order, async () => {
    const result = await expireCluster(cluster, repository, { timezone, confirmed, dryRun: false }, run);
    error = expireError(cluster.name, result);
    return expireOutcome(result, error);
  });
  if (error === undefined) return filed;
  throw error.retold({ facts: { report: filed.key } });
}
