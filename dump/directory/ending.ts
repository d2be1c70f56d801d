import { finished } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { Feed, type Reading } from '../archive/reading.ts';
import { unverified } from '../archive/unverified.ts';

/** Looks at a file while it passes, and says whether it ends as it should. */
export type FileCheck = { read(bytes: Buffer): Promise<void> | void; finish(): Promise<void> | void };

/** How a file of this name is checked. Large objects that are not compressed end anywhere. */
export function checkOf(file: string): FileCheck {
  if (file.endsWith('.zst')) return new ZstdEnd(file);
  if (file.endsWith('.gz')) return new GzipEnd(file);
  if (/^\d+\.dat$/.test(file)) return new CopyEnd(file);
  return { read: () => {}, finish: () => {} };
}

/** Rows of a table end with a line of their own. Source: PostgreSQL src/bin/pg_dump/pg_dump.c, dumpTableData_copy. */
const endOfRows = '\\.\n\n\n';

class CopyEnd implements FileCheck {
  readonly #file: string;
  #tail = '';

  constructor(file: string) {
    this.#file = file;
  }

  read(bytes: Buffer): void {
    this.#tail = (this.#tail + bytes.toString('latin1', Math.max(0, bytes.length - endOfRows.length))).slice(
      -endOfRows.length,
    );
  }

  finish(): void {
    if (this.#tail !== endOfRows) throw cut(this.#file);
  }
}

const magic = 0xfd2fb528;

/**
 * Follows frames by what their headers and blocks say of their length; nothing is decompressed.
 * Source: RFC 8878, 3.1.1.
 */
class ZstdEnd implements FileCheck {
  readonly #file: string;
  readonly #feed: Feed<never>;
  #frames = 0;
  #isBetween = true;

  constructor(file: string) {
    this.#file = file;
    this.#feed = new Feed(this.#follow());
  }

  read(bytes: Buffer): void {
    this.#feed.push(bytes);
  }

  finish(): void {
    const isEmptyObject = this.#frames === 0 && this.#file.startsWith('blob_'); // pg_dump writes not even a frame
    if (!this.#isBetween || this.#feed.heldBytes > 0) throw cut(this.#file);
    if (this.#frames === 0 && !isEmptyObject) throw cut(this.#file);
  }

  *#follow(): Reading<never> {
    for (;;) {
      this.#isBetween = true;
      if ((yield 4).readUInt32LE(0) !== magic) throw unverified(`'${this.#file}' is not zstd`);
      this.#isBetween = false;
      const descriptor = (yield 1)[0] as number;
      const isSingle = (descriptor & 0x20) !== 0;
      const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
      const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
      yield (isSingle ? 0 : 1) + dictionaryBytes + sizeBytes;
      for (let isLast = false; !isLast; ) {
        const block = (yield 3).readUIntLE(0, 3);
        isLast = (block & 1) === 1;
        const isRepeated = ((block >> 1) & 3) === 1;
        yield isRepeated ? 1 : block >> 3;
      }
      if ((descriptor & 4) !== 0) yield 4;
      this.#frames += 1;
    }
  }
}

/** Deflate tells no lengths: its end shows only when it is decompressed, and with it the checksum. */
class GzipEnd implements FileCheck {
  readonly #file: string;
  readonly #gunzip = createGunzip({ chunkSize: 1 << 20 });

  constructor(file: string) {
    this.#file = file;
    this.#gunzip.on('error', () => {}); // whoever writes is told as well
    this.#gunzip.resume();
  }

  async read(bytes: Buffer): Promise<void> {
    const error = await new Promise<unknown>((resolve) => this.#gunzip.write(bytes, resolve));
    if (error) throw cut(this.#file, error);
  }

  async finish(): Promise<void> {
    this.#gunzip.end();
    try {
      await finished(this.#gunzip);
    } catch (error) {
      throw cut(this.#file, error);
    }
  }
}

const cut = (file: string, why?: unknown) =>
  unverified(`'${file}' is cut off${why instanceof Error ? ` (${why.message})` : ''}`);
