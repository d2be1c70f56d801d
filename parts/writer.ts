import { createEncoder, type Encoder } from '../codec/encode.ts';
import type { Sealing } from '../codec/sealing.ts';
import { PgproofError } from '../core/errors.ts';
import { associatedData } from '../repository/layout.ts';
import type { StoredPart } from '../repository/record.ts';
import type { ObjectStore } from '../storage/store.ts';

export type PartJob = {
  store: Pick<ObjectStore, 'create'>;
  /** The key of the n-th part, counted from 1. */
  keyOf(part: number): string;
  sealing: Sealing;
  signal: AbortSignal;
  /** A part is closed before it is stored with more bytes than this. @defaultValue 4 GiB */
  maxStoredBytes?: number;
};

/**
 * Of zstd. Two cores compress 1.4 times as fast as at 3, and pages of tables become no larger worth speaking of (measured:
 * docs/decisions/050-base-backup-stream.md).
 */
const compressionLevel = 1;

const gibibyte = 1024 ** 3;

/** A stream cut into objects that can each be decoded alone; decoded and joined in order they are the stream again. */
export class PartWriter {
  readonly #job: PartJob;
  readonly #maxStoredBytes: number;
  readonly #stored: StoredPart[] = [];
  #open: OpenPart | undefined;

  constructor(job: PartJob) {
    this.#job = job;
    this.#maxStoredBytes = job.maxStoredBytes ?? 4 * gibibyte;
  }

  /** Returns when the next chunk may come, in the same memory if need be: no faster than the store takes the bytes. */
  async write(chunk: Buffer): Promise<void> {
    if (this.#open !== undefined && this.#open.storedBytes + chunk.length > this.#maxStoredBytes) await this.#close();
    this.#open ??= new OpenPart(this.#job, this.#job.keyOf(this.#stored.length + 1));
    await this.#open.write(chunk);
  }

  /** All parts, durable; at least one. */
  async finish(): Promise<StoredPart[]> {
    if (this.#stored.length === 0) this.#open ??= new OpenPart(this.#job, this.#job.keyOf(1));
    await this.#close();
    return this.#stored;
  }

  /** Ends a part that will not be finished; the store keeps nothing of it. */
  async abandon(reason: Error): Promise<void> {
    await this.#open?.abandon(reason);
  }

  async #close(): Promise<void> {
    if (this.#open !== undefined) this.#stored.push(await this.#open.finish());
    this.#open = undefined;
  }
}

/** One object on its way: plain bytes → encoder → store. */
class OpenPart {
  readonly #key: string;
  readonly #encoder: Encoder;
  readonly #created: Promise<{ bytes: number; sha256: string }>;
  #plainBytes = 0;

  constructor({ store, sealing, signal }: PartJob, key: string) {
    this.#key = key;
    this.#encoder = createEncoder({ sealing, associatedData: associatedData(key), level: compressionLevel, signal });
    // What goes wrong with it shows in `#created`; unheard, its error would end the process.
    this.#encoder.on('error', () => {});
    this.#created = store.create(key, this.#encoder, { signal });
    this.#created.catch((error: Error) => this.#encoder.destroy(error));
  }

  get storedBytes(): number {
    return this.#encoder.storedBytes;
  }

  async write(chunk: Buffer): Promise<void> {
    this.#plainBytes += chunk.length;
    const taken = new Promise<void>((resolve) => this.#encoder.write(chunk, () => resolve()));
    // `#created` settles here only by failing: nobody has ended the encoder yet.
    await Promise.race([taken, this.#created]);
  }

  async finish(): Promise<StoredPart> {
    this.#encoder.end();
    const created = await this.#created;
    // Its SHA-256 is of what the store has taken; hashing here too would cost more than the encryption.
    if (created.bytes !== this.#encoder.storedBytes) throw notKept(this.#key, this.#encoder.storedBytes, created.bytes);
    return { key: this.#key, storedBytes: created.bytes, plainBytes: this.#plainBytes, sha256: created.sha256 };
  }

  async abandon(reason: Error): Promise<void> {
    this.#encoder.destroy(reason);
    await this.#created.catch(() => {}); // that it fails is what was wanted
  }
}

function notKept(key: string, sentBytes: number, keptBytes: number): PgproofError {
  return new PgproofError('backup-unverified', `the repository kept ${keptBytes} bytes of '${key}', not ${sentBytes}`, {
    facts: { key, sentBytes, keptBytes },
    hint: 'Nothing was committed. Look at the disk or the store of the repository before the next attempt.',
  });
}
