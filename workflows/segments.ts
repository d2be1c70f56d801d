import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';
import type { Resolved } from '../activities/control.ts';
import { failureOf } from './failure.ts';
import { toPlace } from './greet.ts';
import { onceOn } from './steps.ts';

/*
 * A standby cannot end a WAL segment, and its backup is whole only with the segment that it ends in. On an idle cluster that
 * would be a matter of archive_timeout.
 */

/** Asks the primary's host to. @returns a note where that failed: then archive_timeout does it. */
export async function endSegment(at: Resolved): Promise<string[]> {
  const { primary = null } = at;
  if (primary === null || primary.host === at.host) return [];
  try {
    await onceOn(toPlace(at, primary), `end the segment on ${primary.host}`).endSegment({ cluster: at.cluster });
    return [];
  } catch (error) {
    if (isCancellation(error)) throw error;
    return [`its last WAL segment was not ended on ${primary.host}: ${failureOf(error, at).message}`];
  }
}

/** Asks for it again and again while a standby copies that waits for its own archiver: only that knows when it waits. */
export async function endingSegments<Result>(at: Resolved, copying: Promise<Result>): Promise<Result> {
  const { firstRetry, longestRetry } = at.timeouts.bulk.busy;
  const scope = new CancellationScope();
  const ending = scope.run(async () => {
    for (let wait = firstRetry; ; wait = Math.min(wait * 2, longestRetry)) {
      await sleep(wait * 1000, { summary: 'until its last segment is ended' });
      await endSegment(at);
    }
  });
  const ended = ending.catch((error: unknown) => {
    if (!isCancellation(error)) throw error;
  });
  try {
    return await copying;
  } finally {
    scope.cancel();
    await ended;
  }
}
