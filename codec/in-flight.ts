import { threads } from './threads.ts';

/** Work that is under way on several threads; its results come out in the order in which it went in. */
export class InFlight<T> {
  readonly #running: Promise<T>[] = [];

  get empty(): boolean {
    return this.#running.length === 0;
  }

  get full(): boolean {
    return this.#running.length >= threads;
  }

  add(work: Promise<T>): void {
    // Whoever awaits it sees its failure; until then it must not count as unhandled.
    work.catch(() => {});
    this.#running.push(work);
  }

  /** The oldest result. */
  async next(): Promise<T> {
    return this.#running.shift() as Promise<T>;
  }
}
