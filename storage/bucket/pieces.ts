import type { Readable } from 'node:stream';
import { chunksOf } from './chunks.ts';

/** Bytes of an object that travel together. They belong to the receiver until `giveBack`, which lets the next one use the memory. */
export type Piece = { bytes: Uint8Array; last: boolean; giveBack: () => void };

/**
 * Cuts a body into pieces of `pieceBytes`, the last of them shorter; an empty body is one empty piece. At most `parallel` are
 * out at once: the next is gathered when one was given back. Nothing is waited for any longer once `stopped` aborts.
 */
export async function* piecesOf(
  body: Readable | Uint8Array,
  { pieceBytes, parallel, stopped }: { pieceBytes: number; parallel: number; stopped: AbortSignal },
  onChunk: (chunk: Uint8Array) => void,
): AsyncGenerator<Piece, void> {
  if (body instanceof Uint8Array) {
    yield* slices(body, { pieceBytes, parallel }, onChunk);
    return;
  }
  const pool = new Pool(parallel);
  let buffer: Buffer | undefined;
  let filled = 0;
  const piece = (last: boolean): Piece => {
    const full = buffer ?? Buffer.alloc(0);
    const bytes = full.subarray(0, filled);
    buffer = undefined;
    filled = 0;
    return { bytes, last, giveBack: () => pool.giveBack(full) };
  };
  for await (const chunk of chunksOf(body, stopped)) {
    onChunk(chunk);
    for (let at = 0; at < chunk.length; ) {
      // A full piece leaves only when more comes: so the last one is known to be the last.
      if (buffer !== undefined && filled === buffer.length) yield piece(false);
      buffer ??= await pool.take(pieceBytes);
      const taken = Math.min(chunk.length - at, buffer.length - filled);
      buffer.set(chunk.subarray(at, at + taken), filled);
      at += taken;
      filled += taken;
    }
  }
  yield piece(true);
}

async function* slices(
  whole: Uint8Array,
  { pieceBytes, parallel }: { pieceBytes: number; parallel: number },
  onChunk: (chunk: Uint8Array) => void,
): AsyncGenerator<Piece, void> {
  const pool = new Pool(parallel);
  for (let at = 0; at === 0 || at < whole.length; at += pieceBytes) {
    const bytes = whole.subarray(at, at + pieceBytes);
    const token = await pool.take(0);
    onChunk(bytes);
    yield { bytes, last: at + pieceBytes >= whole.length, giveBack: () => pool.giveBack(token) };
  }
}

/** Buffers that are used again and again: fresh ones would wait for a collection that looks at the heap and not at them. */
class Pool {
  readonly #free: Buffer[] = [];
  readonly #waiting: ((buffer: Buffer) => void)[] = [];
  #unmade: number;

  constructor(buffers: number) {
    this.#unmade = buffers;
  }

  async take(bytes: number): Promise<Buffer> {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#unmade > 0) {
      this.#unmade -= 1;
      return Buffer.allocUnsafeSlow(bytes);
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  giveBack(buffer: Buffer): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(buffer);
    else next(buffer);
  }
}
