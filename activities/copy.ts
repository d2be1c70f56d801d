import * as z from 'zod';
import { reportedCopy } from '../copy/report.ts';
import type { FiledReport } from '../core/report.ts';
import { openCluster } from '../host/cluster.ts';
import type { Host } from '../host/host.ts';
import { asked } from './attempt.ts';
import { atEdge } from './edge.ts';

const askedFor = asked.extend({ to: z.string().nullable(), from: z.string().nullable() });

/** A whole copy, to each of its targets. It files its report itself, failed or not; tried again, it sends only what is missing. */
export function copySteps(host: Host) {
  return {
    copyOffsite: atEdge(askedFor, async (input, { signal, progress, workflowId, runId }): Promise<FiledReport> => {
      const { cluster: name, ...order } = input;
      const cluster = await openCluster(host, name, { signal });
      return reportedCopy(cluster, order, { signal, progress }, { workflowId, runId });
    }),
  };
}
