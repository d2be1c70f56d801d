import type { PgproofError } from '../core/errors.ts';
import type { ExpireResult } from '../core/expired.ts';
import { failedBy, type Outcome } from './report.ts';

/** An expire that was refused, or failed somewhere, is a report too, with what it did elsewhere. */
export function expireOutcome(result: ExpireResult, error: PgproofError | undefined): Outcome {
  return error === undefined ? { status: 'SUCCESS', result } : failedBy(error, result);
}
