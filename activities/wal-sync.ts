import * as z from 'zod';
import type { FiledReport } from '../core/report.ts';
import { openCluster } from '../host/cluster.ts';
import type { Host } from '../host/host.ts';
import { reportedWalSync } from '../wal/reported-sync.ts';
import { asked } from './attempt.ts';
import { atEdge } from './edge.ts';

const askedFor = asked.extend({ notes: z.array(z.string()).default([]) });

/** Makes sure of a cluster's WAL. It files its report itself, when there is something new to tell. */
export function walSyncSteps(host: Host) {
  return {
    syncWal: atEdge(askedFor, async (input, { signal, progress, workflowId, runId }): Promise<FiledReport> => {
      const { cluster: name, ...order } = input;
      const cluster = await openCluster(host, name, { signal });
      return reportedWalSync(cluster, order, { signal, progress }, { workflowId, runId });
    }),
  };
}
