import type { FiledReport } from '../core/report.ts';
import { restoreRequest } from '../core/request.ts';
import { restoreOn } from './steps.ts';
import { askedOf, type Notes, story, tellState } from './story.ts';

/** Carries out a plan that `restore plan` froze on the host. Input: `{"cluster": "shop", "plan": "<plan id>"}`. */
export function restore(input: unknown): Promise<FiledReport & Notes> {
  return story('restore', restoreRequest, input, async (request, at) => {
    tellState(`restoring by plan ${request.plan} on ${at.host}`);
    const asked = { ...askedOf(request), plan: request.plan };
    const filed = await restoreOn(at, `restore by plan ${request.plan}`).startRestore(asked);
    tellState(`restored; report: ${filed.key}`);
    return filed;
  });
}
