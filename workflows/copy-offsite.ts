import type { FiledReport } from '../core/report.ts';
import { copyRequest } from '../core/request.ts';
import { bulkOn } from './steps.ts';
import { askedOf, type Notes, story, tellState } from './story.ts';

/**
 * Brings the cluster's other repositories up to date. Input: `{"cluster": "shop"}`, and `to` or `from` for a single route.
 * Needs no lock: two copies at once bring the same objects.
 */
export function copyOffsite(input: unknown): Promise<FiledReport & Notes> {
  return story('copy', copyRequest, input, async (request, at) => {
    const { to, from } = request;
    const where = to ?? 'its other repositories';
    tellState(`copying ${at.cluster} to ${where} from ${at.host}`);
    // One step: what an attempt has copied is there for the next. It files its report itself.
    const filed = await bulkOn(at, `copy ${at.cluster} to ${where}`).copyOffsite({ ...askedOf(request), to, from });
    tellState(`copied; report: ${filed.key}`);
    return filed;
  });
}
