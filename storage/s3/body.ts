import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { PgproofError } from '../../core/errors.ts';
import { RunningCrc } from './checksums.ts';

/** Chunks that are read ahead of the reader, of up to 64 KiB each. As objects: what waits would otherwise be copied into one. */
const ahead = 16;

/** An answer's bytes, counted, and compared with the store's checksum of the whole where it gave one. Destroying it ends the request. */
export class Body extends Readable {
  readonly #source: IncomingMessage;
  readonly #key: string;
  readonly #bytes: number;
  readonly #crc: string | undefined;
  readonly #running = new RunningCrc();
  #seen = 0;

  /** @param crc of the whole; undefined: not compared. @param meaning of an error of the connection. */
  constructor(
    source: IncomingMessage,
    {
      key,
      bytes,
      crc,
      meaning,
    }: { key: string; bytes: number; crc: string | undefined; meaning: (error: unknown) => Promise<unknown> },
  ) {
    super({ objectMode: true, highWaterMark: ahead });
    this.#source = source;
    this.#key = key;
    this.#bytes = bytes;
    this.#crc = crc;
    source.on('data', (chunk: Uint8Array) => this.#take(chunk));
    source.once('end', () => this.#end());
    source.once('error', (error) => meaning(error).then((known) => this.destroy(known as Error)));
    source.pause();
  }

  override _read(): void {
    this.#source.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#source.destroy();
    done(error);
  }

  #take(chunk: Uint8Array): void {
    this.#seen += chunk.length;
    if (this.#crc !== undefined) this.#running.update(chunk);
    if (!this.push(chunk)) this.#source.pause();
  }

  #end(): void {
    const { text } = this.#running;
    if (this.#seen !== this.#bytes) this.destroy(this.#damaged('fewer bytes than it promised', {}));
    else if (this.#crc !== undefined && text !== this.#crc)
      this.destroy(this.#damaged('other bytes than it has a checksum of', { stored: this.#crc, read: text }));
    else this.push(null);
  }

  #damaged(what: string, facts: Record<string, string>): PgproofError {
    const message = `the store yields ${what} for '${this.#key}'`;
    return new PgproofError('object-damaged', message, { facts: { key: this.#key, bytes: this.#bytes, ...facts } });
  }
}
