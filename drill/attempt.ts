import type { PgproofError } from '../core/errors.ts';
import type { DrillCheckResult, DrillResult } from '../core/report.ts';
import type { Run } from '../core/run.ts';
import type { Held } from '../repository/held.ts';
import type { Nearest } from '../repository/nearest.ts';
import type { Phases } from './phases.ts';

/** What a drill has found out so far: one that ends early keeps it. */
export type Found = Partial<
  Pick<DrillResult, 'backupId' | 'target' | 'reached' | 'reachedWal' | 'rtoSeconds' | 'targetErrorSeconds'>
> & {
  checks: DrillCheckResult[];
  /** What ended it early. */
  error: PgproofError | null;
};

/** `held`: what it holds, itself or by its plan. `copies`: where the restore reads, and what it took from elsewhere than the nearest repository. */
export type Attempt = { phases: Phases; run: Run; found: Found; copies: Nearest; held: Held };
