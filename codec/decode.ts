import { Transform, type TransformCallback } from 'node:stream';
import { throwIfAborted } from '../core/abort.ts';
import { destroyOnAbort } from './abort.ts';
import { damaged } from './damaged.ts';
import { type Frame, FrameSplitter, frameBytes } from './frames.ts';
import { InFlight } from './in-flight.ts';
import { release } from './memory.ts';
import { openerFor, type Pieces, type Sealing } from './sealing.ts';
import { decompressFrame } from './zstd.ts';

export type DecodeOptions = {
  sealing: Sealing;
  /** The same that the object was written with: `associatedData(key)` of repository/layout.ts. */
  associatedData: Uint8Array;
  signal?: AbortSignal;
};

/** Stored bytes in, plain bytes out. Holds some chunks of 4 MiB, however much passes. */
class Decoder extends Transform {
  readonly #opener: Pieces;
  readonly #splitter = new FrameSplitter();
  readonly #inFlight = new InFlight<Buffer>();

  constructor({ sealing, associatedData, signal }: DecodeOptions) {
    super({ readableHighWaterMark: frameBytes, writableHighWaterMark: 1 << 20 });
    this.#opener = openerFor(sealing, associatedData);
    destroyOnAbort(this, signal);
  }

  override _transform(stored: Uint8Array, _encoding: string, done: TransformCallback): void {
    this.#take(stored).then(() => done(), done);
  }

  override _flush(done: TransformCallback): void {
    this.#finish().then(() => done(), done);
  }

  async #take(stored: Uint8Array): Promise<void> {
    for (const opened of this.#opener.update(stored)) await this.#decode(opened, stored);
  }

  async #finish(): Promise<void> {
    for (const opened of this.#opener.final()) await this.#decode(opened, null);
    this.#splitter.final();
    while (!this.#inFlight.empty) this.push(await this.#inFlight.next());
  }

  /** @param stored what was opened: without a cipher it is the same, and somebody else's. */
  async #decode(opened: Uint8Array, stored: Uint8Array | null): Promise<void> {
    for (const frame of this.#splitter.update(opened)) {
      this.#inFlight.add(decoded(frame));
      while (this.#inFlight.full) this.push(await this.#inFlight.next());
    }
    if (opened !== stored) release(opened);
  }
}

async function decoded(frame: Frame): Promise<Buffer> {
  try {
    return await decompressFrame(frame);
  } finally {
    release(frame.stored);
  }
}

/**
 * A stream that decrypts and decompresses. Each chunk that leaves it is in memory of its own, which is whoever's takes it (`release`). With an authenticated cipher, a flipped, cut, moved, repeated or appended byte fails it
 * with `object-damaged`, and no byte leaves it that was not authenticated; the frames that came before the damage have left it by
 * then, so whoever reads it uses nothing until it has ended. With `aes-*-cbc` and without a cipher only damage that padding or a
 * frame shows is noticed here: the SHA-256 in the record, or the tag, finds the rest.
 * @throws {PgproofError} `key-write-only` where there is no identity.
 */
export function createDecoder(options: DecodeOptions): Transform {
  return new Decoder(options);
}

/**
 * Decodes bytes that are in memory as a whole: all of them, or an error and nothing.
 * @param options.maxBytes refuses to make more plain bytes than this.
 * @throws {PgproofError} `object-damaged`, `key-write-only`
 */
export async function decodeBytes(
  stored: Uint8Array,
  sealing: Sealing,
  associatedData: Uint8Array,
  options: { maxBytes: number; signal?: AbortSignal },
): Promise<Uint8Array> {
  const opener = openerFor(sealing, associatedData);
  const splitter = new FrameSplitter();
  const opened = [...opener.update(stored), ...opener.final()];
  const frames = opened.flatMap((bytes) => [...splitter.update(bytes)]);
  splitter.final();
  const plainBytes = frames.reduce((sum, frame) => sum + frame.plainBytes, 0);
  if (plainBytes > options.maxBytes) throw damaged(`it decodes to ${plainBytes} bytes, more than ${options.maxBytes}`);
  return decodeFrames(frames, plainBytes, options.signal);
}

async function decodeFrames(frames: Frame[], plainBytes: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const inFlight = new InFlight<Buffer>();
  const plain: Uint8Array[] = [];
  for (const frame of frames) {
    throwIfAborted(signal);
    inFlight.add(decoded(frame));
    while (inFlight.full) plain.push(await inFlight.next());
  }
  while (!inFlight.empty) plain.push(await inFlight.next());
  const whole = Buffer.concat(plain, plainBytes);
  plain.forEach(release);
  return whole;
}
