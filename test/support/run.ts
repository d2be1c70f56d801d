import type { Progress, Run } from '../../core/run.ts';

/** A run that nobody watches; `said` collects its progress. */
export function quietRun(signal: AbortSignal = new AbortController().signal): Run & { said: Progress[] } {
  const said: Progress[] = [];
  return { signal, progress: (details) => void said.push(details), said };
}
