import { throwIfAborted } from '../core/abort.ts';
import { type DumpFailure, type DumpRow, type DumpRun, incompleteRun, rowOf } from '../core/dump-run.ts';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { reportedFailure } from '../report/file.ts';
import { startReport } from '../report/report.ts';
import { dumpTargets } from './dump.ts';
import { checkExport } from './export/export.ts';
import { type DumpOrder, reportedDump } from './report.ts';

/**
 * All that a request comes to, one dump after the other, as the workflow does it: each leaves its report, and all are tried.
 * @throws {PgproofError} why nothing could begin; what the only one failed with; of several `dump-incomplete`, which names those that
 * were not made.
 */
export async function reportedDumps(cluster: ProtectedCluster, order: DumpOrder, run: Run): Promise<DumpRun> {
  const { request, notes: _, ...asked } = order;
  const subjects = await reportedFailure(cluster, startReport({ operation: 'dump', ...asked }), async () => {
    const targets = await dumpTargets(cluster, request, run);
    checkExport(cluster.config, targets);
    return targets;
  });
  const made: DumpRow[] = [];
  const failed: (DumpFailure & { error: PgproofError })[] = [];
  for (const subject of subjects) {
    try {
      made.push(rowOf(await reportedDump(cluster, subject, order, run)));
    } catch (thrown) {
      throwIfAborted(run.signal);
      const error = asPgproofError(thrown);
      const { code, message, facts } = error;
      failed.push({ subject, code, message, report: typeof facts.report === 'string' ? facts.report : null, error });
    }
  }
  if (failed.length > 0) throw whatFailed(cluster.name, made, failed);
  return { operation: 'dump', cluster: cluster.name, dumps: made };
}

/** Of one that was asked for, its own error. */
function whatFailed(
  cluster: string,
  made: readonly DumpRow[],
  failed: readonly (DumpFailure & { error: PgproofError })[],
): PgproofError {
  if (made.length + failed.length === 1) return (failed[0] as { error: PgproofError }).error;
  const { code, message, facts, hint } = incompleteRun(cluster, made, failed);
  return new PgproofError(code, message, { facts, hint });
}
