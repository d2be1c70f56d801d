import type { Readable } from 'node:stream';
import type { StoredObject } from '../store.ts';

/** Every request carries a signal: the caller's, with the time that this one request may take. */
export type Call = { signal: AbortSignal };

/** What the store answered for one part. */
export type Receipt = { number: number; bytes: number; etag: string; checksum: string };

/** An upload that was begun and neither completed nor aborted. */
export type Upload = { key: string; upload: string; startedAt: Date };

/** What a bucket says of itself. Undefined: the store does not say, or our rights do not suffice to ask. */
export type BucketFacts = {
  /** Seconds by which the store's clock is ahead of ours (negative: behind). */
  clockAheadSeconds: number | undefined;
  versioning: 'enabled' | 'suspended' | 'off' | undefined;
  /** Retention by the store (WORM, object lock); `days` is null where there is no default for new objects. */
  lock: { mode: string; days: number | null } | 'none' | undefined;
  /** Days after which a lifecycle rule aborts unfinished uploads below the prefix. */
  abortsUploadsAfterDays: number | 'never' | undefined;
  /** Ids of lifecycle rules that delete or move (to a class that cannot be read at once) objects below the prefix. */
  deletingRules: readonly string[] | undefined;
};

/**
 * One bucket of an object store, a method a request (`inspect` is several). Keys are whole: a prefix is part of them. Drivers implement it; retries, limits,
 * timeouts and figures are put around them (`retry.ts`, `limit.ts`, `timeout.ts`, `metrics.ts`), so a driver does not retry by
 * itself and does not limit its connections.
 *
 * Errors are PgproofErrors: `store-unreachable` (429, 408, 5xx, resets, no answer; facts `status`, `storeCode`, `requestId`,
 * `retryAfterSeconds`), `store-denied`, `credentials-missing`, `credentials-expired`, `clock-skew` (both clocks as facts),
 * `store-misconfigured` (region, bucket, path style, TLS trust: with what would be right), `object-missing`, `object-exists`,
 * `object-retained` (fact `until`), `object-damaged` (a checksum differs), and the signal's reason once that aborts.
 */
export interface Bucket {
  /**
   * The whole object in one request; the store's own checksum is sent, and compared with its answer. Conditional where the
   * store can: then `object-exists`. Where the store refuses conditions (501), the driver looks first. A request that lives on
   * after its call has ended cannot store other bytes: the digest was sent ahead, and the caller may reuse `bytes`.
   */
  put(key: string, bytes: Uint8Array, call: Call): Promise<void>;

  /** Begins an upload in parts, and answers its id. Storage class and encryption by the store are said here. */
  begin(key: string, call: Call): Promise<string>;

  /** One part, checksum compared. The same number again replaces it. Numbers begin with 1. */
  putPart(key: string, upload: string, number: number, bytes: Uint8Array, call: Call): Promise<Receipt>;

  /**
   * Makes the object of all parts, in one step. Conditional as `put`. An upload that is not there (any more) is
   * `object-missing`. Where the store gives a checksum of the whole, it is compared with what the receipts combine to.
   * @param receipts of every part, ascending.
   */
  complete(key: string, upload: string, receipts: readonly Receipt[], call: Call): Promise<void>;

  /** Aborting an upload that is not there (any more) succeeds. */
  abort(key: string, upload: string, call: Call): Promise<void>;

  /** Unfinished uploads of keys under the prefix, a page a request. @param after what `next` of the page before says. */
  uploads(prefix: string, after: string | undefined, call: Call): Promise<{ uploads: Upload[]; next?: string }>;

  /** Undefined: there is no such object. */
  head(key: string, call: Call): Promise<{ bytes: number; etag: string; checksum?: string } | undefined>;

  /**
   * Answers once the store has begun to; the body follows, and destroying it ends the request. `bytes` is what the body will
   * have. A range that is not honoured exactly is `range-outside-object` where the object is too short, otherwise
   * `store-misconfigured`. A whole body is compared with the store's checksum as it passes, and fails with `object-damaged`.
   * @param range `length` is at least 1.
   */
  get(
    key: string,
    range: { offset: number; length: number } | undefined,
    call: Call,
  ): Promise<{ bytes: number; etag: string; body: Readable }>;

  /**
   * Objects whose keys begin with the prefix, ascending, at most 1,000.
   * @param after only keys behind this one. @returns next: what to hand in as `after` for the next page; absent on the last.
   */
  list(prefix: string, after: string | undefined, call: Call): Promise<{ objects: StoredObject[]; next?: string }>;

  /** Removing an absent object succeeds. */
  remove(key: string, call: Call): Promise<void>;

  /** Settings of the bucket, for `check`. Never fails for a right that is missing: what cannot be asked is undefined. */
  inspect(prefix: string, call: Call): Promise<BucketFacts>;
}

/** A request on which nothing moves for so long counts as lost: drivers set it as their sockets' idle timeout. */
export const idleMs = 30_000;
