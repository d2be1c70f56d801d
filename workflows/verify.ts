import type { FiledReport } from '../core/report.ts';
import { verifyRequest } from '../core/request.ts';
import { untilFree } from './busy.ts';
import { bulkOn } from './steps.ts';
import { askedOf, mark, type Notes, story, tellState } from './story.ts';

/**
 * Reads back what the cluster's repositories hold and names what is damaged. Input: `{"cluster": "shop"}`, or with
 * `"share": 10`, `"restore": true`, `"repair": true`. Damage is an answer: the workflow completes, and the verdict stands in its
 * report and in `PgVerdict`.
 */
export function verify(input: unknown): Promise<FiledReport & Notes> {
  return story('verify', verifyRequest, input, async (request, at) => {
    tellState(`verifying ${at.cluster} on ${at.host}`);
    const { repository, share, restore, backup, repair } = request;
    const asked = { ...askedOf(request), repository, share, restore, backup, repair };
    const filed = await untilFree(at, request, () => bulkOn(at, `read ${at.cluster} back`).runVerify(asked));
    const { verdict } = filed.report.result as { verdict?: string };
    mark({ PgVerdict: verdict });
    tellState(`${verdict}; report: ${filed.key}`);
    return filed;
  });
}
