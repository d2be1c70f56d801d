import { createHash, type Hash } from 'node:crypto';
import { Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createDecoder } from '../codec/decode.ts';
import { release } from '../codec/memory.ts';
import { asPgproofError, hasCode, PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { sealingOf } from '../repository/keys.ts';
import { associatedData } from '../repository/layout.ts';
import type { Nearest } from '../repository/nearest.ts';
import type { StoredPart } from '../repository/record.ts';
import type { Repository } from '../repository/repository.ts';
import { withoutStanding } from '../storage/standing.ts';

/** One of several repositories that sends nothing for so long is given up; with one only, whoever restores has the patience. */
const standingSeconds = 300;

/** Bytes that turned out to be wrong were handed on already: what was made of them counts for nothing. */
export class Spoiled extends Error {
  override readonly cause: PgproofError;

  constructor(cause: PgproofError) {
    super(cause.message);
    this.cause = cause;
  }
}

/**
 * Awaited before the next chunk comes. The chunk is whoever's takes it, for as long as he likes; the garbage collector need not clear it away
 * where he says himself that he is done with it.
 */
export type Take = (chunk: Buffer, giveBack?: () => void) => Promise<void>;

/** Of one part: what was handed on so far, over all attempts. */
type Delivered = {
  bytes: number;
  hash: Hash;
  /** By repository: what ended an attempt that had handed something on. */
  failed: Map<string, PgproofError>;
};

/** What a backup's or a dump's record says of how its parts were sealed. */
export type SealedParts = { keyId: string | null };

/**
 * Reads the parts of one backup or dump, each from the nearest repository that has it whole. When that shows only in the midst of a
 * part, the next repository's copy goes on behind the bytes that were handed on, if it begins with the very same.
 */
export class PartReader {
  readonly #cluster: ProtectedCluster;
  readonly #record: SealedParts;
  readonly #run: Run;
  readonly #copies: Nearest;
  /** By key and repository: copies that are known to be wrong. */
  readonly #wrong = new Map<string, Map<string, PgproofError>>();
  readonly #totalBytes: number;
  #doneBytes = 0;
  #toldAt = 0;

  /** @param totalBytes what the parts decode to, for progress. */
  constructor(cluster: ProtectedCluster, record: SealedParts, totalBytes: number, run: Run, copies: Nearest) {
    this.#cluster = cluster;
    this.#record = record;
    this.#run = run;
    this.#copies = copies;
    this.#totalBytes = totalBytes;
  }

  /** Everything is read once more, because something that was made of it was thrown away. */
  begin(): void {
    this.#doneBytes = 0;
  }

  /**
   * Hands on the plain bytes of one part, and at its end makes sure that they were all and the right ones.
   * @throws {PgproofError} `object-damaged`, `object-missing`, what the store says.
   * @throws {Spoiled} when wrong bytes were handed on, and another repository may have the right ones.
   */
  async read(part: StoredPart, take: Take): Promise<void> {
    const delivered: Delivered = { bytes: 0, hash: createHash('sha256'), failed: new Map() };
    const { signal } = this.#run;
    const from = async (repository: Repository, limited: AbortSignal): Promise<void> => {
      try {
        await this.#watched(repository, part, limited, delivered, take);
      } catch (error) {
        if (delivered.bytes > 0) delivered.failed.set(repository.name, asPgproofError(error));
        throw error;
      }
    };
    await this.#copies.read(part.key, from, { signal, known: this.#wrong.get(part.key) });
  }

  async whole(part: StoredPart): Promise<Buffer> {
    const chunks: Buffer[] = [];
    await this.read(part, async (chunk) => {
      chunks.push(chunk);
    });
    return Buffer.concat(chunks);
  }

  async #watched(
    repository: Repository,
    part: StoredPart,
    signal: AbortSignal,
    delivered: Delivered,
    take: Take,
  ): Promise<void> {
    if (!this.#copies.several) return this.#stream(repository, part, { signal, progress: () => {} }, delivered, take);
    const stands = () =>
      new PgproofError('store-unreachable', `it has sent nothing of '${part.key}' for ${standingSeconds} s`);
    const run = { signal, progress: () => {} };
    await withoutStanding(run, standingSeconds, stands, (watched) =>
      this.#stream(repository, part, watched, delivered, take),
    );
  }

  async #stream(
    repository: Repository,
    part: StoredPart,
    { signal, progress }: Run,
    delivered: Delivered,
    take: Take,
  ): Promise<void> {
    const sealing = sealingOf(this.#record, this.#cluster.keys);
    const hash = createHash('sha256');
    let storedBytes = 0;
    const measure = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        hash.update(chunk);
        storedBytes += chunk.length;
        progress({ phase: 'fetch' });
        done(null, chunk);
      },
    });
    const behind = new Behind(delivered);
    let refused: PgproofError | undefined;
    const handOn = async (chunk: Buffer): Promise<void> => {
      const rest = behind.rest(chunk);
      if (rest.length === 0) return;
      if (this.#copies.several) delivered.hash.update(rest);
      delivered.bytes += rest.length;
      await take(rest, () => release(rest)).catch((error: unknown) => {
        refused = asPgproofError(error);
        throw error;
      });
      this.#tell(rest.length);
    };
    const deliver = new Writable({
      highWaterMark: 8 * 1024 * 1024,
      write: (chunk: Buffer, _encoding, done) => void handOn(chunk).then(() => done(), done),
    });
    const source = await repository.store.read(part.key, { signal });
    const decoder = createDecoder({ sealing, associatedData: associatedData(part.key), signal });
    try {
      // Streams, not async iterators: those join all that waits into one more buffer, which costs a copy of every byte.
      await pipeline(source, measure, decoder, deliver, { signal });
    } catch (error) {
      // Who takes the bytes finds fault with them: with one only that is the end; another copy may be a better one.
      if (refused !== undefined && !hasCode(refused, 'no-space') && this.#blame(part, repository, refused))
        throw new Spoiled(refused);
      throw error;
    }
    const { bytes: plainBytes } = behind;
    const same =
      storedBytes === part.storedBytes && plainBytes === part.plainBytes && hash.digest('hex') === part.sha256;
    if (!same) throw damaged(part, { storedBytes, plainBytes });
    // Whole, and yet it does not begin with what was handed on: that was wrong.
    if (behind.fits) return;
    for (const [name, error] of delivered.failed) this.#blame(part, { name }, error);
    throw new Spoiled([...delivered.failed.values()][0] as PgproofError);
  }

  /** @returns whether another repository is left that may have it whole. */
  #blame({ key }: StoredPart, { name }: Pick<Repository, 'name'>, error: PgproofError): boolean {
    const wrong = this.#wrong.get(key) ?? new Map<string, PgproofError>();
    this.#wrong.set(key, wrong.set(name, error));
    return wrong.size < this.#cluster.repositories.length;
  }

  #tell(bytes: number): void {
    this.#doneBytes += bytes;
    if (performance.now() - this.#toldAt < 500) return;
    this.#toldAt = performance.now();
    this.#run.progress({ phase: 'fetch', doneBytes: this.#doneBytes, totalBytes: this.#totalBytes });
  }
}

/** What of a stream lies behind the bytes that an earlier attempt has handed on, and whether it begins with the very same. */
class Behind {
  bytes = 0;
  readonly #due: number;
  readonly #expected: string;
  readonly #prefix = createHash('sha256');
  #fits: boolean;

  constructor({ bytes, hash }: Delivered) {
    this.#due = bytes;
    this.#fits = bytes === 0;
    this.#expected = bytes === 0 ? '' : hash.copy().digest('hex');
  }

  /** Only of use once the stream has come to its end. */
  get fits(): boolean {
    return this.#fits;
  }

  /** Empty as long as the stream does not prove to begin as the other did. */
  rest(chunk: Buffer): Buffer {
    const known = Math.min(Math.max(0, this.#due - this.bytes), chunk.length);
    this.bytes += chunk.length;
    if (known > 0) {
      this.#prefix.update(chunk.subarray(0, known));
      if (this.bytes >= this.#due) this.#fits = this.#prefix.digest('hex') === this.#expected;
    }
    return this.#fits ? chunk.subarray(known) : chunk.subarray(chunk.length);
  }
}

function damaged(part: StoredPart, found: { storedBytes: number; plainBytes: number }): PgproofError {
  return new PgproofError('object-damaged', `'${part.key}' is not what the record of the backup says`, {
    facts: {
      key: part.key,
      expectedBytes: part.storedBytes,
      foundBytes: found.storedBytes,
      expectedPlainBytes: part.plainBytes,
      foundPlainBytes: found.plainBytes,
    },
    hint: 'Restore from another backup; this one is damaged.',
  });
}
