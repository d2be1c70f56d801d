import { setCurrentDetails, sleep } from '@temporalio/workflow';
import type { Resolved } from '../activities/control.ts';
import { typedFailure } from './failure.ts';

/**
 * Does a step that needs the cluster for itself. While somebody else has it, the host's slot is free and the step is
 * tried again, until the deadline; with `noWait` the first answer counts.
 */
export async function untilFree<Result>(
  at: Resolved,
  request: { noWait: boolean },
  step: () => Promise<Result>,
): Promise<Result> {
  const { firstRetry, longestRetry, deadline } = at.timeouts.bulk.busy;
  const until = Date.now() + deadline * 1000;
  for (let wait = firstRetry; ; wait = Math.min(wait * 2, longestRetry)) {
    try {
      return await step();
    } catch (error) {
      const busy = typedFailure(error);
      if (busy?.type !== 'cluster-busy' || request.noWait || Date.now() + wait * 1000 > until) throw error;
      setCurrentDetails(`waiting for the cluster: ${busy.message}`);
      await sleep(wait * 1000, { summary: 'cluster busy' });
    }
  }
}
