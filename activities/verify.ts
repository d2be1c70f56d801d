import * as z from 'zod';
import type { FiledReport } from '../core/report.ts';
import { openCluster } from '../host/cluster.ts';
import type { Host } from '../host/host.ts';
import { reportedVerify } from '../verify/verify.ts';
import { asked } from './attempt.ts';
import { atEdge } from './edge.ts';

const askedFor = asked.extend({
  repository: z.string().nullable(),
  share: z.number(),
  restore: z.boolean(),
  backup: z.string().nullable(),
  repair: z.boolean(),
});

/** A whole verify: one step, which files its report itself, whatever it found. */
export function verifySteps(host: Host) {
  return {
    runVerify: atEdge(askedFor, async (input, { signal, progress, workflowId, runId }): Promise<FiledReport> => {
      const cluster = await openCluster(host, input.cluster, { signal });
      return reportedVerify(cluster, input, { signal, progress }, { workflowId, runId });
    }),
  };
}
