import type { FiledReport } from '../core/report.ts';
import { walSyncRequest } from '../core/request.ts';
import { quickOn } from './steps.ts';
import { askedOf, type Notes, story, tellState } from './story.ts';

/**
 * Makes sure that what the server has written until now is in the repositories, and holds that against the objective. Input:
 * `{"cluster": "shop"}`. A broken objective fails the run: failed runs are what an operations team looks at.
 */
export function walSync(input: unknown): Promise<FiledReport & Notes> {
  return story('walSync', walSyncRequest, input, async (request, at, notes) => {
    tellState(`making sure of the WAL of ${at.cluster} on ${at.host}`);
    // A quick step: it must not wait for hours behind a backup, and its own patience is minutes.
    const filed = await quickOn(at, `is the WAL of ${at.cluster} archived`).syncWal({
      ...askedOf(request),
      notes: [...notes],
    });
    tellState(
      filed.key === null ? 'the objective is kept, nothing new' : `the objective is kept; report: ${filed.key}`,
    );
    return filed;
  });
}
