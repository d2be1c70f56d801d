import type { DrillResult } from '../core/report.ts';
import type { Outcome } from './report.ts';

/** A drill that did not pass is a report too, not an error. SUCCESS only when it passed. */
export function drillOutcome(result: DrillResult): Outcome {
  if (result.verdict === 'passed') return { status: 'SUCCESS', result };
  return { status: 'FAILED', errorMessage: `drill ${result.verdict}: ${result.verdictReason}`, result };
}
