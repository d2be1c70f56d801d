import * as z from 'zod';
import type { FiledReport } from '../core/report.ts';
import type { Host } from '../host/host.ts';
import { finishReport } from '../report/file.ts';
import { startReport } from '../report/report.ts';
import { asked, attempt } from './attempt.ts';
import { atEdge } from './edge.ts';
import { plannedRestore } from './planned.ts';

const askedFor = asked.extend({ plan: z.string() });

/**
 * Carries out a frozen plan. Tried again, it goes on in the folder that it began itself, checking what is there; of a dump the database
 * that it began itself is made anew.
 */
export function restoreSteps(host: Host) {
  return {
    startRestore: atEdge(askedFor, (input, run) =>
      attempt(host, 'restore', input, run, async (cluster, inner, order): Promise<FiledReport> => {
        const planned = await plannedRestore(host, cluster, input.plan);
        Object.assign(order, planned.order); // the report of a failure has the same uuid as that of a success
        return finishReport(cluster, startReport(order), await planned.carryOut(inner));
      }),
    ),
  };
}
