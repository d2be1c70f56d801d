import * as z from 'zod';
import type { FiledReport } from '../core/report.ts';
import { drillKinds } from '../core/request.ts';
import { reportedDrill } from '../drill/report.ts';
import { openCluster } from '../host/cluster.ts';
import type { Host } from '../host/host.ts';
import { asked } from './attempt.ts';
import { atEdge } from './edge.ts';

const text = z.string().nullable().default(null);

/** Without dump and database, from a workflow that knew of none. */
const askedFor = asked.extend({ kind: z.enum(drillKinds), dump: text, database: text });

/** A whole drill: the server it restores lives and dies with the step. It files its report itself, failed or not. */
export function drillSteps(host: Host) {
  return {
    runDrill: atEdge(askedFor, async (input, { signal, progress, workflowId, runId }): Promise<FiledReport> => {
      const cluster = await openCluster(host, input.cluster, { signal });
      return reportedDrill(cluster, input, { signal, progress }, { workflowId, runId });
    }),
  };
}
