import type { Phase } from '../core/report.ts';
import type { Run } from '../core/run.ts';
import { phaseTimer } from '../restore/phases.ts';

/** Phases one after the other, by a monotonic clock. A phase that failed is listed too, with the time it took. */
export class Phases {
  readonly list: Phase[] = [];
  readonly time: ReturnType<typeof phaseTimer>;

  constructor(run: Run) {
    this.time = phaseTimer(this.list, run);
  }

  add(name: string, seconds: number): void {
    this.list.push({ name, seconds: Math.round(seconds * 1000) / 1000 });
  }
}
