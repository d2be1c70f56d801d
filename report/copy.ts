import type { PgproofError } from '../core/errors.ts';
import type { CopyResult } from '../core/report.ts';
import { failedBy, type Outcome } from './report.ts';

/** A copy that did not bring all is a report too, with what it did bring. SUCCESS only when each target is complete. */
export function copyOutcome(result: CopyResult, error: PgproofError | undefined): Outcome {
  if (error !== undefined) return failedBy(error, result);
  const sizeBytes = result.targets.reduce((sum, { copied }) => sum + copied.bytes, 0);
  return { status: 'SUCCESS', result, sizeBytes };
}
