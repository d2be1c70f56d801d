import { pipeline, type Readable, Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { abortReason, throwIfAborted } from '../../core/abort.ts';
import { PgproofError } from '../../core/errors.ts';
import { around } from './around.ts';
import type { Bucket } from './bucket.ts';

export type Limits = {
  parallel: number;
  /** Bytes a second; undefined: as many as there are. */
  upload?: number | undefined;
  download?: number | undefined;
};

/**
 * What a process may ask of one store, over all who use it. A read counts as under way until its answer begins: a body
 * that waits for its reader must not keep others from being asked for.
 */
export class Limiter {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  readonly upload: Rate;
  readonly download: Rate;
  #parallel: number;
  #underWay = 0;
  #goodInARow = 0;
  #slowedAt = Number.NEGATIVE_INFINITY;

  constructor({ parallel, upload, download }: Limits) {
    this.#most = parallel;
    this.#parallel = parallel;
    this.upload = new Rate(upload);
    this.download = new Rate(download);
  }

  /** How many requests may be under way now. */
  get parallel(): number {
    return this.#parallel;
  }

  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#enter(signal);
    const startedAt = performance.now();
    try {
      const answer = await work();
      this.#good();
      return answer;
    } catch (error) {
      if (isSlowDown(error)) this.#slowDown(startedAt);
      throw error;
    } finally {
      this.#underWay -= 1;
      this.#admit();
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    if (this.#underWay < this.#parallel) {
      this.#underWay += 1;
      return;
    }
    const turn = Promise.withResolvers<void>();
    const enter = () => turn.resolve();
    const leave = () => {
      const at = this.#waiting.indexOf(enter);
      if (at < 0) return; // its turn has come meanwhile
      this.#waiting.splice(at, 1);
      turn.reject(abortReason(signal));
    };
    this.#waiting.push(enter);
    signal.addEventListener('abort', leave, { once: true });
    try {
      await turn.promise;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  #admit(): void {
    while (this.#underWay < this.#parallel) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#underWay += 1;
      next();
    }
  }

  /** Half as many; once for all requests that were under way together, because they met the same overload. */
  #slowDown(startedAt: number): void {
    this.#goodInARow = 0;
    if (startedAt < this.#slowedAt) return;
    this.#slowedAt = performance.now();
    this.#parallel = Math.max(1, Math.floor(this.#parallel / 2));
  }

  /** One more, once as many as there may be have succeeded. */
  #good(): void {
    this.#goodInARow += 1;
    if (this.#goodInARow < this.#parallel || this.#parallel === this.#most) return;
    this.#goodInARow = 0;
    this.#parallel += 1;
  }
}

const isSlowDown = (error: unknown): boolean =>
  error instanceof PgproofError && (error.facts.status === 503 || error.facts.status === 429);

/** Bytes a second, over everybody who takes some. */
class Rate {
  readonly bytesPerSecond: number | undefined;
  #freeAt = 0;

  constructor(bytesPerSecond: number | undefined) {
    this.bytesPerSecond = bytesPerSecond;
  }

  /** Waits until those who came before have had their time, and then takes its own. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.bytesPerSecond === undefined || bytes === 0) return;
    const now = performance.now();
    const start = Math.max(now, this.#freeAt);
    this.#freeAt = start + (bytes / this.bytesPerSecond) * 1000;
    if (start > now) await sleep(start - now, undefined, { signal }).catch(() => {});
    throwIfAborted(signal);
  }
}

/** Keeps requests within what the limiter allows; fewer for a while after the store said 503 or 429. */
export function limited(bucket: Bucket, limiter: Limiter): Bucket {
  const limit = around(bucket, async ({ bytes, call, send }) => {
    await limiter.upload.take(bytes, call.signal);
    return limiter.run(call.signal, () => send(call));
  });
  if (limiter.download.bytesPerSecond === undefined) return limit;
  return {
    ...limit,
    get: async (key, range, call) => {
      const got = await limit.get(key, range, call);
      return { ...got, body: throttled(got.body, limiter.download, call.signal) };
    },
  };
}

function throttled(body: Readable, rate: Rate, signal: AbortSignal): Readable {
  // A quarter of a second's bytes at a time: a reader that is kept waiting for longer would take the store for silent.
  const portionBytes = Math.max(1, Math.floor((rate.bytesPerSecond ?? Number.POSITIVE_INFINITY) / 4));
  const throttle = new Transform({
    transform(chunk: Uint8Array, _, done) {
      const pace = async (): Promise<void> => {
        for (let at = 0; at < chunk.length; at += portionBytes) {
          const portion = chunk.subarray(at, at + portionBytes);
          await rate.take(portion.length, signal);
          this.push(portion);
        }
      };
      pace().then(() => done(), done);
    },
  });
  // The error reaches whoever reads; here it only must not be nobody's.
  return pipeline(body, throttle, () => {});
}
