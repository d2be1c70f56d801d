import type { FiledReport } from '../core/report.ts';
import { drillRequest } from '../core/request.ts';
import { untilFree } from './busy.ts';
import { bulkOn } from './steps.ts';
import { askedOf, mark, type Notes, story, tellState } from './story.ts';

/**
 * Proves that the cluster can be restored, to a point chosen now. Input: `{"cluster": "shop"}`. A drill that ran and
 * failed is an answer: the workflow completes, and the verdict stands in its report and in `PgVerdict`.
 */
export function drill(input: unknown): Promise<FiledReport & Notes> {
  return story('drill', drillRequest, input, async (request, at) => {
    tellState(`restoring ${at.cluster} into a sandbox on ${at.host}`);
    const asked = { ...askedOf(request), kind: request.kind };
    // One step: the restored server lives and dies with it, and the step cleans up and writes the report itself.
    const filed = await untilFree(at, request, () => bulkOn(at, `restore ${at.cluster} and ask it`).runDrill(asked));
    const { verdict, backupId } = filed.report.result as { verdict?: string; backupId?: string | null };
    mark({ PgVerdict: verdict, PgBackupId: backupId ?? undefined });
    tellState(`${verdict}; report: ${filed.key}`);
    return filed;
  });
}
