/**
 * Reads what comes in chunks: `yield n` asks for the next n bytes, which may be used until the next one is asked for; `yield -n` passes
 * over n bytes, of which none is kept.
 */
export type Reading<Result> = Generator<number, Result, Buffer>;

/** Feeds a `Reading` with chunks as they come. */
export class Feed<Result> {
  readonly #reading: Reading<Result>;
  #wanted: number;
  #held: Buffer = Buffer.alloc(0);
  #result: { value: Result } | undefined;

  constructor(reading: Reading<Result>) {
    this.#reading = reading;
    const first = reading.next(Buffer.alloc(0));
    this.#wanted = first.done ? 0 : first.value;
    if (first.done) this.#result = { value: first.value };
  }

  /** What the reading came to, once it has. */
  get result(): Result | undefined {
    return this.#result?.value;
  }

  /** Bytes that have come and are not enough for what is asked. */
  get heldBytes(): number {
    return this.#held.length;
  }

  /** @returns how many of the chunk's bytes the reading took: all of them, unless it came to its end. */
  push(chunk: Buffer): number {
    let at = 0;
    if (this.#held.length > 0) {
      // No more is copied than what was asked for lacks: chunks are large.
      const more = chunk.subarray(0, this.#wanted - this.#held.length);
      at = more.length;
      this.#held = Buffer.concat([this.#held, more]);
      if (this.#held.length < this.#wanted) return at;
      const asked = this.#held;
      this.#held = Buffer.alloc(0);
      this.#hand(asked);
    }
    while (this.#result === undefined) {
      if (this.#wanted < 0) {
        const passed = Math.min(-this.#wanted, chunk.length - at);
        at += passed;
        this.#wanted += passed;
      }
      if (this.#wanted < 0 || at + this.#wanted > chunk.length) break;
      at += this.#wanted;
      this.#hand(chunk.subarray(at - this.#wanted, at));
    }
    if (this.#result !== undefined) return at;
    this.#held = Buffer.from(chunk.subarray(at)); // a copy: the chunk's memory is used again
    return chunk.length;
  }

  #hand(asked: Buffer): void {
    const step = this.#reading.next(asked);
    if (step.done) this.#result = { value: step.value };
    else this.#wanted = step.value;
  }
}
