import type { PgproofError } from '../core/errors.ts';
import type { CopyResult, FiledReport } from '../core/report.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { copyOutcome } from '../report/copy.ts';
import { reported } from '../report/file.ts';
import type { Workflow } from '../report/report.ts';
import { putReport } from '../repository/reports.ts';
import { copyCluster, copyError } from './cluster.ts';

export type CopyOrder = {
  from: string | null;
  to: string | null;
  reason: string | null;
  requestedBy: string | null;
  /** When it began, where that was before. */
  startedAt?: string;
};

/** The next copy brings a report that could not be put there. */
const patienceSeconds = 20;

/**
 * Copies a cluster and files the report of it, which stands in the copies, too.
 * @throws {PgproofError} `copy-incomplete`, `damage-found`, or what a single target failed with; the fact `report` is the
 * key of the report, which tells of each target.
 */
export async function reportedCopy(
  cluster: ProtectedCluster,
  { from, to, ...asked }: CopyOrder,
  run: Run,
  workflow: Workflow | null,
): Promise<FiledReport> {
  const order = { operation: 'copy', workflow, ...asked, mode: to ?? 'all' } as const;
  let error: PgproofError | undefined;
  const filed = await reported(cluster, order, async () => {
    const result = await copyCluster(cluster, { from, to }, run);
    error = copyError(cluster.name, result);
    return copyOutcome(result, error);
  });
  await putIntoCopies(cluster, filed);
  if (error === undefined) return filed;
  throw error.retold({ facts: { report: filed.key } });
}

/** Whoever has only a copy left reads there how old it is. */
async function putIntoCopies({ repositories }: ProtectedCluster, { report }: FiledReport): Promise<void> {
  const { targets } = report.result as CopyResult;
  const reached = targets.filter(({ outcome }) => outcome !== 'failed').map(({ to }) => to);
  for (const repository of repositories.filter(({ name }) => reached.includes(name))) {
    const signal = AbortSignal.timeout(patienceSeconds * 1000);
    await putReport(repository, report, { signal }).catch(() => undefined);
  }
}
