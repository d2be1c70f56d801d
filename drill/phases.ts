import type { Phase } from '../core/report.ts';
import type { Run } from '../core/run.ts';

/** Phases one after the other, by a monotonic clock. A phase that failed is listed too, with the time it took. */
export class Phases {
  readonly list: Phase[] = [];
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async time<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.#run.progress({ phase: name });
    const began = performance.now();
    try {
      return await work();
    } finally {
      this.add(name, (performance.now() - began) / 1000);
    }
  }

  add(name: string, seconds: number): void {
    this.list.push({ name, seconds: Math.round(seconds * 1000) / 1000 });
  }
}
