import { createHash } from 'node:crypto';
import { type PartJob, PartWriter } from '../parts/writer.ts';
import type { StoredStream } from '../repository/record.ts';

/** A stream on its way into the repositories: cut into parts, and hashed as a whole. */
export class StreamWriter {
  readonly #parts: PartWriter;
  readonly #hash = createHash('sha256');
  #plainBytes = 0;

  constructor(job: PartJob) {
    this.#parts = new PartWriter(job);
  }

  /** Returns when the next chunk may come, in the same memory if need be. */
  async write(chunk: Buffer): Promise<void> {
    this.#hash.update(chunk);
    this.#plainBytes += chunk.length;
    await this.#parts.write(chunk);
  }

  async finish(): Promise<StoredStream> {
    const parts = await this.#parts.finish();
    return { parts, plainBytes: this.#plainBytes, sha256: this.#hash.digest('hex') };
  }

  async abandon(reason: Error): Promise<void> {
    await this.#parts.abandon(reason);
  }
}
