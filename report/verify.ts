import type { VerifyResult } from '../core/verified.ts';
import type { Outcome } from './report.ts';

/** Damage is a report, not an error. SUCCESS only when everything that was to be looked at is whole. */
export function verifyOutcome(result: VerifyResult): Outcome {
  if (result.verdict === 'passed') return { status: 'SUCCESS', result };
  return { status: 'FAILED', errorMessage: `verify ${result.verdict}: ${result.verdictReason}`, result };
}
