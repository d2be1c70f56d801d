/** Reads what comes in chunks: `yield n` asks for the next n bytes, which may be used until the next one is asked for. */
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
    if (this.#result !== undefined) return 0;
    const joined = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let at = 0;
    while (this.#result === undefined && at + this.#wanted <= joined.length) {
      const step = this.#reading.next(joined.subarray(at, at + this.#wanted));
      at += this.#wanted;
      if (step.done) this.#result = { value: step.value };
      else this.#wanted = step.value;
    }
    const taken = at - this.#held.length;
    // A copy: the chunk's memory is used again.
    this.#held = this.#result === undefined ? Buffer.from(joined.subarray(at)) : Buffer.alloc(0);
    return this.#result === undefined ? chunk.length : taken;
  }
}
