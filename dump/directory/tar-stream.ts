import { blockBytes } from '../../postgres/tar/header.ts';
import type { StreamWriter } from '../stored.ts';
import { endBytes, paddingOf, writeHeader } from './member.ts';

/** As much as one frame of zstd takes. */
const bufferBytes = 4 << 20;

/** Packs members one after the other into the memory that it hands on whenever it is full. */
export class TarStream {
  readonly #writer: Pick<StreamWriter, 'write'>;
  readonly #modifiedAt = Math.floor(Date.now() / 1000);
  readonly #buffer = Buffer.alloc(bufferBytes);
  #filled = 0;

  constructor(writer: Pick<StreamWriter, 'write'>) {
    this.#writer = writer;
  }

  /**
   * @param read fills what it is given, wholly, with the next bytes of the content.
   */
  async add(name: string, bytes: number, read: (into: Buffer) => Promise<void>): Promise<void> {
    writeHeader(await this.#room(blockBytes), name, bytes, this.#modifiedAt);
    this.#filled += blockBytes;
    for (let left = bytes; left > 0; ) {
      const into = (await this.#room(1)).subarray(0, left);
      await read(into);
      this.#filled += into.length;
      left -= into.length;
    }
    await this.#zeros(paddingOf(bytes));
  }

  async end(): Promise<void> {
    await this.#zeros(endBytes);
    await this.#flush();
  }

  async #zeros(bytes: number): Promise<void> {
    (await this.#room(bytes)).fill(0, 0, bytes);
    this.#filled += bytes;
  }

  /** What is left of the memory, at least so much of it. */
  async #room(bytes: number): Promise<Buffer> {
    if (bufferBytes - this.#filled < bytes) await this.#flush();
    return this.#buffer.subarray(this.#filled);
  }

  async #flush(): Promise<void> {
    if (this.#filled > 0) await this.#writer.write(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }
}
