import { CancelledFailure, isCancellation } from '@temporalio/workflow';
import type { Resolved } from '../activities/control.ts';
import {
  type DumpFailure,
  type DumpRow,
  type DumpRun,
  type DumpSubject,
  incompleteRun,
  rowOf,
  subjectName,
} from '../core/dump-run.ts';
import { type DumpRequest, dumpRequest } from '../core/request.ts';
import { failure, failureOf, reportOf } from './failure.ts';
import { bulkOn, quickOn } from './steps.ts';
import { askedOf, leaveReport, type Notes, story, tellState } from './story.ts';

/**
 * Dumps databases, one after the other, and files a report of each. Input: `{"cluster": "shop"}`, or with `"databases": ["crm"]`,
 * `"tier": "weekly"`, `"format": "directory"`, … All of them are tried; when some were not made, the run fails at its end and names
 * them.
 */
export function dump(input: unknown): Promise<DumpRun & Notes> {
  return story('dump', dumpRequest, input, async (request, at, notes) => {
    const asked = { ...request, ...askedOf(request) };
    tellState(`looking what there is to dump of ${at.cluster} on ${at.host}`);
    const { subjects } = await quickOn(at, 'what is to be dumped').planDump(asked);

    const made: DumpRow[] = [];
    const failed: Failed[] = [];
    for (const [index, subject] of subjects.entries()) {
      const what = subjectName(subject);
      tellState(`dumping ${what} on ${at.host}: ${index + 1} of ${subjects.length}, ${failed.length} failed`);
      const startedAt = new Date().toISOString();
      try {
        // One step: what is dumped is verified and committed with it, so that a retry repeats only this one.
        made.push(rowOf(await bulkOn(at, `dump ${what}`).takeDump({ ...asked, subject, notes: [...notes] })));
      } catch (error) {
        failed.push(await failedDump(error, at, request, { subject, startedAt }));
      }
    }
    if (failed.length > 0) throw whatFailed(request.cluster, made, failed, subjects.length);
    const [only] = made;
    tellState(made.length === 1 ? `${only?.id} is whole; report: ${only?.report}` : `${made.length} dumps are whole`);
    return { operation: 'dump', cluster: request.cluster, dumps: made };
  });
}

type Failed = DumpFailure & { said: ReturnType<typeof failureOf> };

/** @throws what ends the whole run: it was cancelled, or nobody is there who could dump the others. */
async function failedDump(
  error: unknown,
  at: Resolved,
  request: DumpRequest,
  about: { subject: DumpSubject; startedAt: string },
): Promise<Failed> {
  const cancelled = isCancellation(error);
  const said = cancelled ? failure('cancelled', 'cancelled', [{}, null]) : failureOf(error, at);
  if (said.type === 'worker-absent' || said.type === 'worker-outdated') throw error;
  const report = reportOf(error) ?? (await leaveReport(said, 'dump', request, at, about)) ?? null;
  if (cancelled) throw new CancelledFailure(said.message, [{ report }, null]);
  return { subject: about.subject, code: said.type ?? 'internal', message: said.message, report, said };
}

/** Of one that was asked for, its own error. */
function whatFailed(cluster: string, made: readonly DumpRow[], failed: readonly Failed[], asked: number): Error {
  const [first] = failed as [Failed];
  if (asked === 1) {
    const [facts, hint] = (first.said.details ?? []) as [object?, (string | null)?];
    return failure(first.code, first.message, [{ ...facts, report: first.report }, hint ?? null]);
  }
  const { code, message, facts, hint } = incompleteRun(cluster, made, failed);
  return failure(code, message, [facts, hint]);
}
