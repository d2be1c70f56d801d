import * as z from 'zod';
import type { FiledReport } from '../core/report.ts';
import type { Host } from '../host/host.ts';
import { finishReport } from '../report/file.ts';
import { startReport } from '../report/report.ts';
import { startRestore } from '../restore/start.ts';
import { asked, attempt } from './attempt.ts';
import { atEdge } from './edge.ts';

const askedFor = asked.extend({ plan: z.string() });

/** Carries out a frozen plan. Tried again, it goes on in the folder that it began itself, checking what is there. */
export function restoreSteps(host: Host) {
  return {
    startRestore: atEdge(askedFor, (input, run) =>
      attempt(host, 'restore', input, run, async (cluster, inner, order): Promise<FiledReport> => {
        const result = await startRestore(cluster, input.plan, inner);
        return finishReport(cluster, startReport(order), { status: 'SUCCESS', result });
      }),
    ),
  };
}
