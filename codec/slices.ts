/**
 * Collects pieces of any size until they are as many bytes as asked for, without copying them: what was given is not to be
 * changed afterwards.
 */
export class Slices {
  #slices: Uint8Array[] = [];
  #filled = 0;
  #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  get filled(): number {
    return this.#filled;
  }

  get full(): boolean {
    return this.#filled === this.#size;
  }

  /** Takes as much of `bytes` as fits and answers how much that was. */
  fill(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.#size - this.#filled);
    if (taken > 0) this.#slices.push(taken === bytes.length ? bytes : bytes.subarray(0, taken));
    this.#filled += taken;
    return taken;
  }

  /** What was collected; the next collection is of `nextSize`. */
  take(nextSize = this.#size): Uint8Array[] {
    const taken = this.#slices;
    this.#slices = [];
    this.#filled = 0;
    this.#size = nextSize;
    return taken;
  }
}

/** Cuts the last `bytes` off the pieces, which hold at least so many. They are copied, the others are not. */
export function splitTail(slices: Uint8Array[], bytes: number): { body: Uint8Array[]; tail: Uint8Array } {
  const tail = Buffer.alloc(bytes);
  const body = [...slices];
  for (let missing = bytes; missing > 0; ) {
    const last = body.pop() as Uint8Array;
    const cut = Math.max(0, last.length - missing);
    tail.set(last.subarray(cut), missing - (last.length - cut));
    missing -= last.length - cut;
    if (cut > 0) body.push(last.subarray(0, cut));
  }
  return { body, tail };
}
