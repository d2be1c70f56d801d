/** Cuts a stream of pieces of any size into pieces of a given size. A piece handed out is the caller's until he gives it back. */
export class Gatherer {
  readonly #size: number;
  #buffer: Buffer | null = null;
  #filled = 0;
  readonly #spare: Buffer[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  get filled(): number {
    return this.#filled;
  }

  /** Takes as much of `bytes` as fits and answers how much that was. */
  fill(bytes: Uint8Array): number {
    this.#buffer ??= this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#size);
    const taken = Math.min(bytes.length, this.#size - this.#filled);
    this.#buffer.set(taken === bytes.length ? bytes : bytes.subarray(0, taken), this.#filled);
    this.#filled += taken;
    return taken;
  }

  get full(): boolean {
    return this.#filled === this.#size;
  }

  /** What was gathered, and an empty gatherer. */
  take(): Buffer {
    const taken = this.#buffer?.subarray(0, this.#filled) ?? Buffer.alloc(0);
    this.#buffer = null;
    this.#filled = 0;
    return taken;
  }

  /** The next piece is gathered in this memory: a new one each time keeps the garbage collector busy. */
  giveBack(taken: Buffer): void {
    if (taken.length === this.#size) this.#spare.push(taken);
  }
}
