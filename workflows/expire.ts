import type { FiledReport } from '../core/report.ts';
import { expireRequest } from '../core/request.ts';
import { bulkOn } from './steps.ts';
import { askedOf, type Notes, story, tellState } from './story.ts';

/**
 * Deletes what the retention of the cluster keeps no longer. Input: `{"cluster": "shop"}`, and `repository` for a single one. What would
 * take more than half, or rests on a clock that cannot be right, fails until a person says `"confirmed": true`. Needs no lock: it runs beside
 * everything, because whoever needs something holds it.
 */
export function expire(input: unknown): Promise<FiledReport & Notes> {
  return story('expire', expireRequest, input, async (request, at) => {
    const { repository, confirmed } = request;
    const where = repository ?? 'its repositories';
    tellState(`expiring ${at.cluster} in ${where} from ${at.host}`);
    const filed = await bulkOn(at, `expire ${at.cluster}`).runExpire({ ...askedOf(request), repository, confirmed });
    tellState(`expired; report: ${filed.key}`);
    return filed;
  });
}
