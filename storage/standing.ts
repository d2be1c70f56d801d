import { abortReason } from '../core/abort.ts';
import type { PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';

/**
 * Runs `use` and ends it when it has told of no progress for so many seconds: moving much may take days, but never stands
 * still for long. A store that hangs without an answer would otherwise be waited for without end.
 * @throws what `use` throws, or what `reason` makes.
 */
export async function withoutStanding<T>(
  run: Run,
  seconds: number,
  reason: () => PgproofError,
  use: (run: Run) => Promise<T>,
): Promise<T> {
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(reason()), seconds * 1000);
  const progress: Run['progress'] = (details) => {
    timer.refresh();
    run.progress(details);
  };
  try {
    return await use({ ...run, signal: AbortSignal.any([run.signal, stalled.signal]), progress });
  } catch (error) {
    throw stalled.signal.aborted ? abortReason(stalled.signal) : error;
  } finally {
    clearTimeout(timer);
  }
}
