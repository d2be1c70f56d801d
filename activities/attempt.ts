import * as z from 'zod';
import { asPgproofError, type PgproofError } from '../core/errors.ts';
import type { Operation } from '../core/request.ts';
import type { Run } from '../core/run.ts';
import { openCluster } from '../host/cluster.ts';
import type { Host } from '../host/host.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { withReport } from '../report/file.ts';
import { type ReportOrder, startReport } from '../report/report.ts';
import type { EdgeRun } from './edge.ts';

/** What every step of an operation is told. `startedAt`: when the operation began, ISO-8601 UTC. */
export const asked = z.object({
  cluster: z.string(),
  reason: z.string().nullable(),
  requestedBy: z.string().nullable(),
  startedAt: z.iso.datetime(),
});
export type Asked = z.output<typeof asked>;

/** Which failures leave no report: of these the workflow tells, when it gives up. */
type Quiet = (error: PgproofError) => boolean;

/** Nothing was begun: the workflow waits for the cluster, or it is another fleet's, whose reports are not ours to write. */
const wasNotBegun: Quiet = ({ code }) => code === 'cluster-busy' || code === 'owner-other';

type Step<Result> = (cluster: ProtectedCluster, run: Run, order: ReportOrder) => Promise<Result>;

/**
 * Does a step of an operation on its cluster. When it fails, its report is in the repository before the error leaves,
 * because histories forget attempts that are tried again; the error then names the report's key as a fact.
 */
export async function attempt<Result>(
  host: Host,
  operation: Operation,
  { cluster: name, reason, requestedBy, startedAt }: Asked,
  { signal, progress, workflowId, runId }: EdgeRun,
  step: Step<Result>,
  isQuiet: Quiet = wasNotBegun,
): Promise<Result> {
  const cluster = await openCluster(host, name, { signal });
  const order: ReportOrder = { operation, workflow: { workflowId, runId }, requestedBy, reason, startedAt };
  try {
    return await step(cluster, { signal, progress }, order);
  } catch (thrown) {
    const error = asPgproofError(signal.aborted ? signal.reason : thrown);
    if (!signal.aborted && isQuiet(error)) throw error;
    throw await withReport(cluster, startReport(order), error);
  }
}
