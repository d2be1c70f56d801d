import type { Readable } from 'node:stream';
import { throwIfAborted } from '../../core/abort.ts';
import { assertKey, assertPrefix } from '../keys.ts';
import type { ObjectKey, ObjectStore, StoredObject, StoreOptions } from '../store.ts';
import type { Bucket } from './bucket.ts';
import { createObject } from './create.ts';
import { listObjects } from './list.ts';
import { type Range, readObject } from './read.ts';
import { reapUploads } from './reap.ts';

export type BucketStoreOptions = {
  /** Ends in '/', or is empty. */
  prefix: string;
  /** What travels in one request. An object of 4 GiB must fit into 10,000 of them; S3 demands at least 5 MiB. */
  pieceBytes?: number;
  /** Pieces of one object in memory, and under way, at once. */
  parallel?: number;
};

/** An object store that can also tidy up what writers left that were killed. */
export interface BucketStore extends ObjectStore {
  /** Aborts uploads below the prefix that were begun longer ago than three days. @returns how many. */
  reapUploads(options?: StoreOptions): Promise<number>;
}

/** Objects below a prefix of a bucket. Memory is bounded by `pieceBytes` × `parallel` for each object being created. */
export function openBucketStore(bucket: Bucket, options: BucketStoreOptions): BucketStore {
  return new PrefixStore(bucket, options);
}

/** For callers who gave no signal. */
const never = new AbortController().signal;

class PrefixStore implements BucketStore {
  readonly #bucket: Bucket;
  readonly #prefix: string;
  readonly #pieces: { pieceBytes: number; parallel: number };
  #reaped = false;

  constructor(bucket: Bucket, { prefix, pieceBytes = 16 << 20, parallel = 4 }: BucketStoreOptions) {
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#pieces = { pieceBytes, parallel };
  }

  async create(
    key: ObjectKey,
    body: Readable | Uint8Array,
    { signal = never }: StoreOptions = {},
  ): Promise<{ bytes: number; sha256: string }> {
    try {
      assertKey(key);
      throwIfAborted(signal);
      return await createObject(this.#bucket, this.#prefix + key, body, {
        ...this.#pieces,
        signal,
        beforeUpload: () => this.#reapOnce(signal),
      });
    } finally {
      // Whatever happened, nobody reads on.
      if (!(body instanceof Uint8Array)) body.destroy();
    }
  }

  async read(key: ObjectKey, options: StoreOptions & { range?: Range } = {}): Promise<Readable> {
    assertKey(key);
    const { range, signal = never } = options;
    throwIfAborted(signal);
    return readObject(this.#bucket, this.#prefix + key, range, signal);
  }

  async *list(prefix: string, { signal = never }: StoreOptions = {}): AsyncIterable<StoredObject> {
    assertPrefix(prefix);
    for await (const { key, bytes } of listObjects(this.#bucket, this.#prefix + prefix, signal))
      yield { key: key.slice(this.#prefix.length), bytes };
  }

  async remove(key: ObjectKey, { signal = never }: StoreOptions = {}): Promise<void> {
    assertKey(key);
    throwIfAborted(signal);
    await this.#bucket.remove(this.#prefix + key, { signal });
  }

  async reapUploads({ signal = never }: StoreOptions = {}): Promise<number> {
    return reapUploads(this.#bucket, this.#prefix, signal);
  }

  /** Once a process is enough, and an object must not fail because a right to tidy up is missing: `check` names that one. */
  async #reapOnce(signal: AbortSignal): Promise<void> {
    if (this.#reaped) return;
    this.#reaped = true;
    await reapUploads(this.#bucket, this.#prefix, signal).catch(() => {});
    throwIfAborted(signal);
  }
}
