import { defineSearchAttributeKey } from '@temporalio/common';
import {
  CancellationScope,
  isCancellation,
  log,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import * as z from 'zod';
import type { Asked } from '../activities/attempt.ts';
import type { Resolved } from '../activities/control.ts';
import { type DumpRun, type DumpSubject, subjectName } from '../core/dump-run.ts';
import type { Facts } from '../core/errors.ts';
import type { FiledReport } from '../core/report.ts';
import type { Operation } from '../core/request.ts';
import { failure, failureOf, reportOf } from './failure.ts';
import { greet, namesOf } from './greet.ts';
import { controlSteps, quickOn } from './steps.ts';

/** What a person should know beside the result; sentences. */
export type Notes = { notes: string[] };

type Request = Omit<Asked, 'startedAt'> & { host?: string | null; prefer?: 'primary' | 'standby' | null };

/**
 * What all workflows have in common: check what was typed, find the host, see that its worker is there; and when
 * something fails, see that a report of it is left and that the failure has a code and a hint.
 */
export async function story<Schema extends z.ZodType<Request>, Result>(
  operation: Operation,
  schema: Schema,
  input: unknown,
  tell: (request: z.output<Schema>, at: Resolved, notes: readonly string[]) => Promise<Result>,
): Promise<Result & Notes> {
  const request = parse(schema, input);
  mark({ PgCluster: request.cluster, PgOperation: operation });
  let at: Resolved | undefined;
  try {
    const { cluster, host: asked, prefer } = request;
    at = await controlSteps().resolve({ cluster, operation, host: asked, prefer });
    mark({ PgHost: at.host });
    const { host } = at;
    tellState(`asking for the worker of ${namesOf(at)}`);
    const greeted = await greet(operation, at);
    at = greeted.at;
    if (at.host !== host) mark({ PgHost: at.host });
    if (greeted.refusal !== null) throw greeted.refusal;
    const { notes } = greeted;
    const told = await tell(request, at, notes);
    alarm(operation, request, told);
    return { ...told, notes };
  } catch (error) {
    throw await conclude(error, operation, request, at);
  }
}

/** A verify that found damage has done its work, and its run completes: whoever watches the log hears of it here. */
function alarm(operation: Operation, { cluster }: Request, told: unknown): void {
  for (const row of (told as Partial<DumpRun>).dumps ?? [])
    for (const finding of row.findings)
      log.error(`${operation} of ${subjectName(row)} of ${cluster}: ${finding}`, { report: row.report });
  const { key, report } = told as Partial<FiledReport>;
  const verdict = report?.result.verdict;
  if (report === undefined || verdict === undefined || verdict === 'passed') return;
  log.error(`${operation} of ${cluster}: ${verdict}`, { verdict, why: report.errorMessage, report: key ?? null });
}

type Attribute = 'PgCluster' | 'PgOperation' | 'PgHost' | 'PgVerdict' | 'PgBackupId';

/** What the run can be searched by. Only what it does not have yet: schedules give theirs at the start, which costs nothing. */
export function mark(attributes: Partial<Record<Attribute, string | undefined>>): void {
  const { typedSearchAttributes } = workflowInfo();
  const pairs = Object.entries(attributes).flatMap(([name, value]) => {
    const key = defineSearchAttributeKey(name, 'KEYWORD');
    return value === undefined || typedSearchAttributes.get(key) === value ? [] : [{ key, value }];
  });
  if (pairs.length > 0) upsertSearchAttributes(pairs);
}

/** What each step of an operation is told, for its report. */
export const askedOf = ({ cluster, reason, requestedBy }: Request): Asked => ({
  cluster,
  reason,
  requestedBy,
  startedAt: workflowInfo().startTime.toISOString(),
});

export const tellState = (text: string): void => setCurrentDetails(text);

/** @throws `usage`, with an example of what would be right. */
export function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const { workflowType } = workflowInfo();
  const example = workflowType === 'restore' ? '{"cluster": "shop", "plan": "…"}' : '{"cluster": "shop"}';
  const problems = z.prettifyError(parsed.error).replaceAll('\n', ' ');
  throw failure('usage', `the input of '${workflowType}' is not usable: ${problems}`, [
    {},
    `Give one JSON object such as ${example}.`,
  ]);
}

async function conclude(
  error: unknown,
  operation: Operation,
  request: Request,
  at: Resolved | undefined,
): Promise<unknown> {
  const cancelled = isCancellation(error);
  const said = cancelled ? failure('cancelled', 'cancelled', [{}, null]) : failureOf(error, at);
  const report = reportOf(error) ?? (await leaveReport(said, operation, request, at));
  tellState(`${said.message}${report === undefined ? '' : `; report: ${report}`}`);
  if (cancelled) return error;
  log.error(`${operation} of ${request.cluster} failed: ${said.message}`, { code: said.type, report: report ?? null });
  const [facts, hint] = (said.details ?? []) as [Facts?, (string | null)?];
  return failure(said.type ?? 'internal', said.message, [{ ...facts, report: report ?? null }, hint ?? null]);
}

/** Which of the dumps of a run, and when that began. */
type About = { subject?: DumpSubject; startedAt?: string };

/** Attempts write their own; this is for what no attempt lived to tell: a lost worker, a wait that was given up. */
export async function leaveReport(
  { type, message }: { type?: string | null; message: string },
  operation: Operation,
  request: Request,
  at: Resolved | undefined,
  about: About = {},
): Promise<string | undefined> {
  if (at === undefined || type === 'worker-absent' || type === 'worker-outdated') return undefined; // nobody is there to write it
  try {
    const failed = { ...askedOf(request), operation, code: type ?? 'internal', message, ...about };
    const { report } = await CancellationScope.nonCancellable(() =>
      quickOn(at, 'report the failure').reportFailure(failed),
    );
    return report;
  } catch (error) {
    log.error('the report of the failure could not be written', { error: failureOf(error, at).message });
    return undefined;
  }
}
