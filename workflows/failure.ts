import { ActivityFailure, ApplicationFailure, CancelledFailure, TimeoutFailure } from '@temporalio/workflow';
import type { Resolved } from '../activities/control.ts';
import type { Facts } from '../core/errors.ts';

/** What a worker answers to a step that it does not have: it is older than the workflow. Temporal would ask it for ever. */
export const unknownStep = 'NotFoundError';

/** The typed failure that a step ended with; undefined for a cancelled one, or one that was never heard of again. */
export function typedFailure(error: unknown): ApplicationFailure | undefined {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure ? cause : undefined;
}

/** Key of the report that the failed or cancelled attempt wrote: a fact of its error. */
export function reportOf(error: unknown): string | undefined {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  const details = cause instanceof ApplicationFailure || cause instanceof CancelledFailure ? cause.details : undefined;
  const report = (details?.[0] as Facts | undefined)?.report;
  return typeof report === 'string' ? report : undefined;
}

/** What a workflow fails with: always a code, facts, a hint, as if the step had been done on the spot. */
export function failureOf(error: unknown, at: Resolved | undefined): ApplicationFailure {
  const typed = typedFailure(error);
  if (typed?.type === unknownStep && error instanceof ActivityFailure) return outdatedStep(error.activityType, at);
  if (typed !== undefined) return failure(typed.type ?? 'internal', typed.message, typed.details ?? []);
  if (error instanceof ActivityFailure && error.cause instanceof TimeoutFailure)
    return timeoutOf(error, error.cause, at);
  return failure('internal', error instanceof Error ? error.message : String(error), [{}, null]);
}

export function failure(code: string, message: string, details: unknown[]): ApplicationFailure {
  return ApplicationFailure.create({ type: code, message, nonRetryable: true, details });
}

function outdatedStep(step: string, at: Resolved | undefined): ApplicationFailure {
  const who = at === undefined ? 'the control worker' : `the worker of ${at.host}`;
  return failure('worker-outdated', `${who} does not know the step ${step}: it is older than the workflow`, [
    { step, host: at?.host ?? null },
    `Upgrade pgproof ${at === undefined ? 'where the control worker runs' : `on ${at.host}`}, then start the operation again.`,
  ]);
}

function timeoutOf(
  error: ActivityFailure,
  { timeoutType }: TimeoutFailure,
  at: Resolved | undefined,
): ApplicationFailure {
  const { activityType: step } = error;
  if (at !== undefined && timeoutType === 'SCHEDULE_TO_START') return workerAbsent(step, at);
  const facts: Facts = { step, timeout: timeoutType ?? 'unknown', host: at?.host ?? null };
  const hint = `Look at the log of the worker of ${at?.host ?? 'the control queue'}, then start the operation again: what was left half done is cleaned up.`;
  const said = timeoutType === 'HEARTBEAT' ? 'its worker went silent' : 'it took longer than it may';
  return failure('timeout', `the step ${step} did not end: ${said}`, [facts, hint]);
}

function workerAbsent(step: string, { cluster, host, queues, timeouts, operation }: Resolved): ApplicationFailure {
  const without = operation === 'check' ? `pgproof check ${cluster}` : 'add --offline to the command';
  const [queue, waitedSeconds] =
    step === 'hello'
      ? [queues.quick, timeouts.quick.hello]
      : [step === 'startRestore' ? queues.restore : queues.bulk, timeouts.bulk.scheduleToStart];
  return failure('worker-absent', `no worker of host ${host} took the step ${step} from the queue ${queue}`, [
    { host, queue, waitedSeconds },
    `Start it on ${host}: pgproof worker (or pgproof up). Without Temporal: ${without}, on ${host}.`,
  ]);
}
