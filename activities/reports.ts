import * as z from 'zod';
import { dumpKinds } from '../core/dump.ts';
import { isErrorCode, PgproofError } from '../core/errors.ts';
import { operations } from '../core/request.ts';
import { openCluster } from '../host/cluster.ts';
import type { Host } from '../host/host.ts';
import { dumpOrder } from '../report/dump.ts';
import { finishReport } from '../report/file.ts';
import { failedBy, startReport } from '../report/report.ts';
import { asked } from './attempt.ts';
import { atEdge } from './edge.ts';

const failed = asked.extend({
  operation: z.enum(operations),
  code: z.string(),
  message: z.string(),
  /** Which of the dumps of a run. */
  subject: z.object({ kind: z.enum(dumpKinds), database: z.string().nullable() }).optional(),
});

/** For what no attempt lived to tell: the worker was lost, or the wait for the cluster was given up. */
export function reportSteps(host: Host) {
  return {
    reportFailure: atEdge(failed, async (input, { signal, workflowId, runId }): Promise<{ report: string }> => {
      const { operation, requestedBy, reason, startedAt, code, message, subject } = input;
      const cluster = await openCluster(host, input.cluster, { signal });
      const about = subject === undefined ? {} : dumpOrder(cluster, subject);
      const order = { operation, workflow: { workflowId, runId }, requestedBy, reason, startedAt, ...about };
      const error = new PgproofError(isErrorCode(code) ? code : 'internal', message);
      const { key } = await finishReport(cluster, startReport(order), failedBy(error));
      return { report: key };
    }),
  };
}
