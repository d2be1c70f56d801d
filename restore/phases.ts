import type { Phase } from '../core/report.ts';
import type { Run } from '../core/run.ts';

/** Runs each phase, and notes how long it took, also when it fails. */
export function phaseTimer(phases: Phase[], run: Run): <T>(name: string, work: () => Promise<T>) => Promise<T> {
  return async (name, work) => {
    run.progress({ phase: name });
    const began = performance.now();
    try {
      return await work();
    } finally {
      phases.push({ name, seconds: Math.round(performance.now() - began) / 1000 });
    }
  };
}
