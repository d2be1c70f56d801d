import { damaged } from './damaged.ts';

/** Plain bytes in one zstd frame at most: what a decoder must hold at once, and what the threads share out. */
export const frameBytes = 4 << 20;

/** What zstd needs at most to store `bytes`, headers included. Source: ZSTD_compressBound, its margin rounded up. */
export const storedBound = (bytes: number): number => bytes + (bytes >> 8) + 1024;

/** What every frame begins with. */
export const zstdMagic = Buffer.of(0x28, 0xb5, 0x2f, 0xfd);

export type Frame = { stored: Buffer; plainBytes: number };

/**
 * Cuts concatenated zstd frames apart, so that each can be decoded alone and nothing before, between or behind them
 * goes unnoticed. Accepts only frames that state their content size, of at most `frameBytes`. Source: RFC 8878.
 * @throws {PgproofError} `object-damaged`
 */
export class FrameSplitter {
  #held = Buffer.allocUnsafeSlow(storedBound(frameBytes));
  #filled = 0;
  #walk = walkFrame(this.#held);
  #needs = this.#walk.next().value;
  #frames = 0;

  *update(stored: Uint8Array): Generator<Frame> {
    for (let rest = stored; rest.length > 0; ) {
      const taken = Math.min(rest.length, this.#needs - this.#filled);
      this.#held.set(rest.subarray(0, taken), this.#filled);
      this.#filled += taken;
      rest = rest.subarray(taken);
      if (this.#filled === this.#needs) yield* this.#step();
    }
  }

  final(): void {
    if (this.#filled > 0) throw damaged('it ends within a zstd frame');
    if (this.#frames === 0) throw damaged('it is empty');
  }

  *#step(): Generator<Frame> {
    const step = this.#walk.next();
    this.#needs = step.value;
    if (!step.done) return;
    const stored = Buffer.from(this.#held.subarray(0, this.#filled));
    this.#frames += 1;
    this.#filled = 0;
    this.#walk = walkFrame(this.#held);
    this.#needs = this.#walk.next().value;
    yield { stored, plainBytes: step.value };
  }
}

/** Yields how many bytes of the frame must be held before it can go on; returns the frame's content size. */
function* walkFrame(held: Buffer): Generator<number, number, void> {
  yield 5;
  if (!held.subarray(0, 4).equals(zstdMagic)) throw damaged('there is something other than a zstd frame');
  const descriptor = held[4] as number;
  const singleSegment = (descriptor & 0x20) !== 0;
  const sizeAt = 5 + (singleSegment ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] as number);
  const sizeBytes = descriptor >> 6 === 0 ? (singleSegment ? 1 : 0) : 1 << (descriptor >> 6);
  let end = sizeAt + sizeBytes;
  yield end;
  const plainBytes = contentSize(held, sizeAt, sizeBytes);
  for (let last = false; !last; ) {
    yield end + 3;
    const block = held.readUIntLE(end, 3);
    last = (block & 1) === 1;
    // A block that repeats one byte stores only that byte.
    end += 3 + (((block >> 1) & 3) === 1 ? 1 : block >> 3);
    if (end + 4 > held.length) throw damaged('a zstd frame is longer than any that was written');
  }
  const checksumBytes = (descriptor & 4) === 0 ? 0 : 4;
  yield end + checksumBytes;
  return plainBytes;
}

function contentSize(held: Buffer, at: number, bytes: number): number {
  if (bytes === 0) throw damaged('a zstd frame does not state its size');
  if (bytes === 2) return held.readUInt16LE(at) + 256;
  const size = bytes === 8 ? Number(held.readBigUInt64LE(at)) : held.readUIntLE(at, bytes);
  if (size > frameBytes) throw damaged(`a zstd frame states ${size} bytes, more than any that was written`);
  return size;
}
