import { Transform, type TransformCallback } from 'node:stream';
import { throwIfAborted } from '../core/abort.ts';
import { destroyOnAbort } from './abort.ts';
import { frameBytes, storedBound } from './frames.ts';
import { Gatherer } from './gather.ts';
import { InFlight } from './in-flight.ts';
import { release } from './memory.ts';
import { type Pieces, type Sealing, sealedBytes, sealerFor } from './sealing.ts';
import { compressFrame } from './zstd.ts';

const defaultLevel = 3;

export type EncodeOptions = {
  sealing: Sealing;
  /** What an encrypted object is bound to: `associatedData(key)` of repository/layout.ts. */
  associatedData: Uint8Array;
  /** zstd level; 3 by default. */
  level?: number;
  signal?: AbortSignal;
};

/** Plain bytes in, stored bytes out. Holds some chunks of 4 MiB, however much passes. */
export class Encoder extends Transform {
  readonly #sealing: Sealing;
  readonly #sealer: Pieces;
  readonly #level: number;
  readonly #chunk = new Gatherer(frameBytes);
  readonly #inFlight = new InFlight<{ stored: Buffer; plainBytes: number }>();
  /** Frames of which the sealer may still hold something. */
  #held: Buffer[] = [];
  #plainInFlight = 0;
  #compressed = 0;
  #any = false;

  constructor({ sealing, associatedData, level = defaultLevel, signal }: EncodeOptions) {
    // Pieces as objects: bytes that wait for the store would be joined, by one more copy of each.
    super({ readableObjectMode: true, readableHighWaterMark: 1, writableHighWaterMark: frameBytes });
    this.#sealing = sealing;
    this.#sealer = sealerFor(sealing, associatedData);
    this.#level = level;
    destroyOnAbort(this, signal);
  }

  /** Stored bytes, were this the end: what is being compressed counts as the most it can become. At the end it is exact. */
  get storedBytes(): number {
    const waiting = this.#plainInFlight + this.#chunk.filled;
    return sealedBytes(this.#sealing, this.#compressed + (waiting === 0 ? 0 : storedBound(waiting)));
  }

  /** The pieces, each to be used until the next one is asked for: then its memory is given back. To keep them, take `iterator()`. */
  override async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, undefined> {
    for await (const piece of this.iterator()) {
      yield piece;
      release(piece);
    }
  }

  override _transform(plain: Uint8Array, _encoding: string, done: TransformCallback): void {
    this.#take(plain).then(() => done(), done);
  }

  override _flush(done: TransformCallback): void {
    this.#finish().then(() => done(), done);
  }

  async #take(plain: Uint8Array): Promise<void> {
    for (let rest = plain; rest.length > 0; ) {
      rest = rest.subarray(this.#chunk.fill(rest));
      if (this.#chunk.full) await this.#compress();
    }
  }

  async #finish(): Promise<void> {
    // An empty input is one empty frame: an empty file is not a valid zstd file.
    if (this.#chunk.filled > 0 || !this.#any) await this.#compress();
    while (!this.#inFlight.empty) await this.#emitOldest();
    this.#emit(this.#sealer.final());
  }

  async #compress(): Promise<void> {
    const plain = this.#chunk.take();
    this.#any = true;
    this.#plainInFlight += plain.length;
    this.#inFlight.add(this.#frameOf(plain));
    while (this.#inFlight.full) await this.#emitOldest();
  }

  async #frameOf(plain: Buffer): Promise<{ stored: Buffer; plainBytes: number }> {
    const stored = await compressFrame(plain, this.#level);
    this.#chunk.giveBack(plain);
    return { stored, plainBytes: plain.length };
  }

  async #emitOldest(): Promise<void> {
    const { stored, plainBytes } = await this.#inFlight.next();
    this.#plainInFlight -= plainBytes;
    this.#compressed += stored.length;
    this.#emit(this.#seal(stored));
  }

  #seal(stored: Buffer): Uint8Array[] {
    const pieces = this.#sealer.update(stored);
    if (pieces[0] === stored) return pieces;
    if (pieces.length > 0) for (const sealed of this.#held.splice(0)) release(sealed);
    this.#held.push(stored);
    return pieces;
  }

  /** @param pieces several are the cipher's own, and go; a single one may be what was compressed, as it is. */
  #emit(pieces: Uint8Array[]): void {
    // One piece for all of them: a store pays for every piece, and tags have 16 bytes.
    const [first = Buffer.alloc(0), ...others] = pieces;
    const piece = others.length === 0 ? first : Buffer.concat(pieces);
    if (piece.length > 0) this.push(piece);
    if (others.length > 0) for (const joined of pieces) release(joined);
  }
}

/**
 * A stream that compresses on several threads and encrypts: standard zstd frames of at most 4 MiB plain, in the cipher's own
 * format. Fails with the signal's reason when that aborts.
 */
export function createEncoder(options: EncodeOptions): Encoder {
  return new Encoder(options);
}

/** The stored form of bytes that are in memory as a whole: WAL segments and small objects. */
export async function encodeBytes(
  plain: Uint8Array,
  sealing: Sealing,
  associatedData: Uint8Array,
  options: { level?: number; signal?: AbortSignal } = {},
): Promise<Uint8Array> {
  const level = options.level ?? defaultLevel;
  const sealer = sealerFor(sealing, associatedData);
  const inFlight = new InFlight<Buffer>();
  const stored: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < plain.length; at += frameBytes) {
    throwIfAborted(options.signal);
    inFlight.add(compressFrame(plain.subarray(at, at + frameBytes), level));
    while (inFlight.full) stored.push(...sealer.update(await inFlight.next()));
  }
  while (!inFlight.empty) stored.push(...sealer.update(await inFlight.next()));
  return Buffer.concat([...stored, ...sealer.final()]);
}
