import { PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import * as storage from '../storage/standing.ts';

/**
 * Runs `use` and ends it when it has told of no progress for so many seconds.
 * @throws {PgproofError} `timeout`
 */
export function withoutStanding<T>(run: Run, seconds: number, use: (run: Run) => Promise<T>): Promise<T> {
  const stalled = () =>
    new PgproofError('timeout', `nothing has come from the repository, or gone to the disk, for ${seconds} s`, {
      facts: { seconds },
      hint: 'Look whether the store of the repository and the disk of the target still answer, then start the same restore again.',
    });
  return storage.withoutStanding(run, seconds, stalled, use);
}
