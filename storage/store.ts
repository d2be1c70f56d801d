import type { Readable } from 'node:stream';

/** Slash-separated, relative, without `.`, `..`, empty or hidden pieces: every store can hold it. */
export type ObjectKey = string;

export type StoredObject = { key: ObjectKey; bytes: number };

export type StoreOptions = { signal?: AbortSignal };

/**
 * Objects by key. Keys are written once; no reader ever sees part of an object. Every method ends when `signal` aborts.
 * Errors that waiting may mend are `store-unreachable` or `no-space`; everything else is permanent.
 */
export interface ObjectStore {
  /**
   * Creates the object and answers what was stored, once the bytes are durable. A body that fails or is cut off leaves
   * nothing. Throws `object-exists` (permanent) where the store can tell; nothing above may rely on it.
   */
  create(
    key: ObjectKey,
    body: Readable | Uint8Array,
    options?: StoreOptions,
  ): Promise<{ bytes: number; sha256: string }>;
  /**
   * Bytes [offset, offset + length). Throws `object-missing` or `range-outside-object` (both permanent) before the first
   * byte; the stream fails rather than yield fewer bytes.
   */
  read(key: ObjectKey, options?: StoreOptions & { range?: { offset: number; length: number } }): Promise<Readable>;
  /** Keys under the prefix, ascending in code-unit order, each once; includes every object whose create() had returned before the call. */
  list(prefix: string, options?: StoreOptions): AsyncIterable<StoredObject>;
  /** Removing an absent object succeeds. Throws `object-retained` (permanent) under a retention lock. */
  remove(key: ObjectKey, options?: StoreOptions): Promise<void>;
}
