import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { PgproofError } from '../core/errors.ts';

/** How an error of ours travels through Temporal: its code is the type, its facts and hint are the details. No cause goes along. */
export function toFailure(error: PgproofError): ApplicationFailure | CancelledFailure {
  const { code, message, facts, hint } = error.toDocument();
  if (code === 'cancelled') return new CancelledFailure(message, [facts, hint]);
  return ApplicationFailure.create({ type: code, message, nonRetryable: error.permanent, details: [facts, hint] });
}

/** Why a step was told to stop. A worker that stops is no cancellation: another attempt begins when one is there again. */
export function whyAborted(signal: AbortSignal): PgproofError {
  const reason = signal.reason instanceof CancelledFailure ? signal.reason.message : 'CANCELLED';
  if (reason === 'WORKER_SHUTDOWN')
    return new PgproofError('worker-stopped', 'the worker was stopped before this step had ended');
  // NOT_FOUND, TIMED_OUT: the workflow has ended or given this attempt up; whatever it answers, nobody listens.
  return new PgproofError('cancelled', reason === 'CANCELLED' ? 'cancelled' : `cancelled: Temporal says ${reason}`);
}
