import * as z from 'zod';
import { dumpKinds } from '../core/dump.ts';
import type { DumpSubject } from '../core/dump-run.ts';
import type { FiledReport } from '../core/report.ts';
import { dumpRequest } from '../core/request.ts';
import { dumpTargets } from '../dump/dump.ts';
import { checkExport } from '../dump/export/export.ts';
import { reportedDump } from '../dump/report.ts';
import { openCluster } from '../host/cluster.ts';
import type { Host } from '../host/host.ts';
import { attempt } from './attempt.ts';
import { atEdge } from './edge.ts';

/** The request as a person typed it: what it comes to is decided by this host's own configuration. */
const asked = dumpRequest.extend({ startedAt: z.iso.datetime() });
const subject = z.object({ kind: z.enum(dumpKinds), database: z.string().nullable() });

export function dumpSteps(host: Host) {
  return {
    /** What there is to dump. While that is tried again nothing is reported: the run tells, when it gives up. */
    planDump: atEdge(asked, (input, run) =>
      attempt(
        host,
        'dump',
        input,
        run,
        async (cluster, inner): Promise<{ subjects: DumpSubject[] }> => {
          const targets = await dumpTargets(cluster, input, inner);
          checkExport(cluster.config, targets);
          return { subjects: targets.map(({ kind, database }) => ({ kind, database })) };
        },
        ({ permanent, code }) => !permanent || code === 'owner-other',
      ),
    ),
    /** One dump: taken, verified, committed, written out. It files its report itself, made or failed. */
    takeDump: atEdge(
      asked.extend({ subject, notes: z.array(z.string()).default([]) }),
      async (input, { signal, progress, workflowId, runId }): Promise<FiledReport> => {
        const cluster = await openCluster(host, input.cluster, { signal });
        const { subject, notes, requestedBy, reason, ...request } = input;
        const order = { request, notes, requestedBy, reason, workflow: { workflowId, runId } };
        return reportedDump(cluster, subject, order, { signal, progress });
      },
    ),
  };
}
