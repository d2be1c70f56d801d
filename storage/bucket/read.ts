import { Readable } from 'node:stream';
import { abortReason } from '../../core/abort.ts';
import { hasCode, PgproofError } from '../../core/errors.ts';
import { objectMissing, rangeOutside } from '../errors.ts';
import { type Bucket, idleMs } from './bucket.ts';

export type Range = { offset: number; length: number };

/** A connection that breaks is taken up again where it broke, so often in a row, unless so much came in between. */
const resumes = 5;
const progressBytes = 1 << 20;

/** Asks before it answers, so that a missing object and a bad range are errors of the call and not of the stream. */
export async function readObject(
  bucket: Bucket,
  key: string,
  range: Range | undefined,
  signal: AbortSignal,
): Promise<Readable> {
  if (range !== undefined && (range.offset < 0 || range.length <= 0)) return readNothing(bucket, key, range, signal);
  const got = await bucket.get(key, range, { signal });
  if (range !== undefined && got.bytes !== range.length) {
    got.body.destroy();
    throw rangeOutside(key, range);
  }
  return new Body(bucket, key, { offset: range?.offset ?? 0, length: got.bytes }, got, signal);
}

/** HTTP has no word for a range without bytes. */
async function readNothing(bucket: Bucket, key: string, range: Range, signal: AbortSignal): Promise<Readable> {
  const head = await bucket.head(key, { signal });
  if (head === undefined) throw objectMissing(key);
  if (range.offset < 0 || range.length < 0 || range.offset > head.bytes) throw rangeOutside(key, range, head.bytes);
  return Readable.from([], { objectMode: false });
}

type Got = Awaited<ReturnType<Bucket['get']>>;

/** The object's bytes, all of them or an error, over as many connections as it takes. */
class Body extends Readable {
  readonly #bucket: Bucket;
  readonly #key: string;
  readonly #end: number;
  readonly #etag: string;
  readonly #signal: AbortSignal;
  readonly #onAbort = () => void this.destroy(abortReason(this.#signal));
  /** Ends a request of ours that is still on its way when the reader goes. */
  readonly #gone = new AbortController();
  #at: number;
  #body: Readable;
  #chunks: AsyncIterator<Uint8Array>;
  #left = resumes;
  #since = 0;

  constructor(bucket: Bucket, key: string, range: Range, { body, etag }: Got, signal: AbortSignal) {
    super({ highWaterMark: progressBytes });
    this.#bucket = bucket;
    this.#key = key;
    this.#at = range.offset;
    this.#end = range.offset + range.length;
    this.#etag = etag;
    this.#signal = signal;
    this.#body = body;
    this.#chunks = body[Symbol.asyncIterator]();
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  override _read(): void {
    this.#next().then(
      (chunk) => this.push(chunk),
      (error: unknown) => this.destroy(error as Error),
    );
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#gone.abort();
    this.#body.destroy();
    done(error);
  }

  async #next(): Promise<Uint8Array | null> {
    for (;;) {
      const chunk = await this.#chunk().catch((error: unknown) => {
        // What is damaged stays damaged, however often it is read.
        if (hasCode(error, 'object-damaged')) throw error;
        return error as Error;
      });
      if (chunk instanceof Uint8Array) {
        this.#at += chunk.length;
        this.#since += chunk.length;
        if (this.#at > this.#end) throw this.#damaged('more');
        return chunk;
      }
      // The body's end was waited for also here: only then its checksum was compared.
      if (chunk === null && this.#at === this.#end) return null;
      if (this.destroyed) return null;
      await this.#resume(chunk);
    }
  }

  async #chunk(): Promise<Uint8Array | null> {
    const idle = setTimeout(() => this.#body.destroy(silent(this.#key)), idleMs);
    try {
      const { done, value } = await this.#chunks.next();
      return done ? null : value;
    } finally {
      clearTimeout(idle);
    }
  }

  /** @param cause why it broke; null: it ended too early without saying so. */
  async #resume(cause: Error | null): Promise<void> {
    this.#body.destroy();
    if (this.#since >= progressBytes) this.#left = resumes;
    this.#since = 0;
    // The last byte was there and the end was not: nothing is left to ask for.
    if (this.#left === 0 || this.#at === this.#end)
      throw cause === null ? this.#damaged('fewer') : broken(this.#key, cause);
    this.#left -= 1;
    const signal = AbortSignal.any([this.#signal, this.#gone.signal]);
    const range = { offset: this.#at, length: this.#end - this.#at };
    const got = await this.#bucket.get(this.#key, range, { signal });
    this.#body = got.body;
    this.#chunks = got.body[Symbol.asyncIterator]();
    if (this.destroyed) got.body.destroy();
    else if (got.etag !== this.#etag || got.bytes !== range.length) throw this.#damaged('other');
  }

  #damaged(which: 'more' | 'fewer' | 'other'): PgproofError {
    return new PgproofError('object-damaged', `the store yields ${which} bytes of '${this.#key}' than it promised`, {
      facts: { key: this.#key, bytes: this.#end },
    });
  }
}

function silent(key: string): PgproofError {
  return new PgproofError('store-unreachable', `the store stopped in the middle of '${key}'`, { facts: { key } });
}

function broken(key: string, cause: Error): PgproofError {
  if (cause instanceof PgproofError) return cause;
  return new PgproofError('store-unreachable', `reading '${key}' broke off again and again`, { facts: { key }, cause });
}
