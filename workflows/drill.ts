import type { DrillResult, FiledReport } from '../core/report.ts';
import { drillRequest } from '../core/request.ts';
import { untilFree } from './busy.ts';
import { bulkOn } from './steps.ts';
import { askedOf, mark, type Notes, story, tellState } from './story.ts';

/**
 * Proves that the cluster can be restored, to a point chosen now, or with `"kind": "dump"` that its newest dump can. Input:
 * `{"cluster": "shop"}`. A drill that ran and
 * failed is an answer: the workflow completes, and the verdict stands in its report and in `PgVerdict`.
 */
export function drill(input: unknown): Promise<FiledReport & Notes> {
  return story('drill', drillRequest, input, async (request, at) => {
    const { kind, dump, database } = request;
    const what = kind === 'dump' ? `a dump of ${database ?? at.cluster}` : at.cluster;
    tellState(`restoring ${what} into a sandbox on ${at.host}`);
    const asked = { ...askedOf(request), kind, ...(kind === 'dump' ? { dump, database } : {}) };
    // One step: the restored server lives and dies with it, and the step cleans up and writes the report itself.
    const filed = await untilFree(at, request, () => bulkOn(at, `restore ${what} and ask it`).runDrill(asked));
    const { verdict, backupId, dump: drilled } = filed.report.result as Partial<DrillResult>;
    mark({ PgVerdict: verdict, PgBackupId: backupId ?? drilled?.id });
    tellState(`${verdict}; report: ${filed.key}`);
    return filed;
  });
}
