import { asPgproofError, PgproofError } from './errors.ts';

/** Why the signal was aborted, as one of ours: the reason where it is an error of ours, otherwise `cancelled` or `timeout`. */
export function abortReason(signal: AbortSignal): PgproofError {
  const reason: unknown = signal.reason;
  if (reason instanceof Error && reason.name === 'TimeoutError') {
    return new PgproofError('timeout', 'the time for this step is over', { cause: reason });
  }
  const error = asPgproofError(reason);
  return error.code === 'internal' ? new PgproofError('cancelled', 'cancelled', { cause: reason }) : error;
}

/** @throws {PgproofError} the signal's reason, once it is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortReason(signal);
}
