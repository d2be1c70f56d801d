import type { FiledReport } from '../core/report.ts';
import type { DrillRequest } from '../core/request.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { drillOutcome } from '../report/drill.ts';
import { reported } from '../report/file.ts';
import type { Workflow } from '../report/report.ts';
import { releasePlan } from '../restore/hold.ts';
import type { Held } from './attempt.ts';
import { runDrill } from './drill.ts';

/**
 * Runs a drill and files its report, whose id is the drill's.
 * @throws {PgproofError} what made the drill impossible, or `cancelled`; the fact `report` is the key of its report.
 */
export async function reportedDrill(
  cluster: ProtectedCluster,
  request: Pick<DrillRequest, 'kind' | 'reason' | 'requestedBy'>,
  run: Run,
  workflow: Workflow | null,
): Promise<FiledReport> {
  const { kind, reason, requestedBy } = request;
  const order = { operation: 'drill', workflow, requestedBy, reason, mode: kind } as const;
  const held: Held = [];
  try {
    return await reported(cluster, order, async ({ id }) =>
      drillOutcome(await runDrill(cluster, request, run, id, held)),
    );
  } finally {
    await letPlanGo(cluster, held); // not before: until the report is there, nobody knows what was proven
  }
}

/** Where it cannot be released it ends by itself: expire deletes less until then. */
const letPlanGo = (cluster: ProtectedCluster, held: Held): Promise<void> =>
  releasePlan(cluster, held).catch(() => undefined);
