import type { Run } from '../support/places.ts';
import { processesOf } from '../support/processes.ts';
import { type Counts, oneFailed, onePassed } from './counts.ts';

/** Every process of the run must have ended by itself; what has not is named, and killed. */
export function leftovers(run: Run): Counts {
  const left = killLeftovers(run);
  for (const line of left) console.log(`✗ left running: ${line}`);
  return left.length > 0 ? oneFailed : onePassed;
}

export function killLeftovers(run: Run): string[] {
  return processesOf(run.dir).map(({ pid, command }) => {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // ended meanwhile
    }
    return `process ${pid}: ${command}`;
  });
}
