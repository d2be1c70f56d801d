import * as z from 'zod';
import type { FiledReport } from '../core/report.ts';
import { reportedExpire } from '../expire/report.ts';
import { openCluster } from '../host/cluster.ts';
import type { Host } from '../host/host.ts';
import { asked } from './attempt.ts';
import { atEdge } from './edge.ts';

const askedFor = asked.extend({ repository: z.string().nullable(), confirmed: z.boolean() });

/** A whole expire, in each of the cluster's repositories. It files its report itself; tried again, it goes on with what is left. */
export function expireSteps(host: Host) {
  return {
    runExpire: atEdge(askedFor, async (input, { signal, progress, workflowId, runId }): Promise<FiledReport> => {
      const { cluster: name, ...order } = input;
      const cluster = await openCluster(host, name, { signal });
      const { timezone } = host.config;
      return reportedExpire(cluster, { ...order, timezone }, { signal, progress }, { workflowId, runId });
    }),
  };
}
