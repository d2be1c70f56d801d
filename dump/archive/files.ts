import type { Toc } from './toc.ts';
import { unverified } from './unverified.ts';

const lineFeed = 10;

/**
 * The files that an archive of files must have: `toc.dat`, one for each entry with data, and where an entry is of large objects, its
 * file lists theirs. All without the suffix of their compression.
 */
export class ExpectedFiles {
  readonly #found = new Set<string>();
  readonly #listed: string[] = [];
  /** By list: the beginning of a line whose end is still to come. */
  readonly #begun = new Map<string, Buffer>();

  /** A list of large objects: a line each, its oid and its file. */
  static isList(file: string): boolean {
    return /^blobs(?:_\d+)?\.toc$/.test(file);
  }

  /** The next bytes of such a list. */
  list(file: string, bytes: Buffer): void {
    const text = Buffer.concat([this.#begun.get(file) ?? Buffer.alloc(0), bytes]);
    const end = text.lastIndexOf(lineFeed) + 1;
    for (const line of text.toString('latin1', 0, end).split('\n').slice(0, -1)) {
      const object = /^\d+ (blob_\d+\.dat)$/.exec(line)?.[1];
      if (object === undefined) throw unverified(`the list '${file}' says '${line}'`);
      this.#listed.push(object);
    }
    this.#begun.set(file, text.subarray(end));
  }

  /** A whole file has passed. */
  found(file: string): void {
    if (this.#found.has(file)) throw unverified(`it has '${file}' twice`);
    this.#found.add(file);
  }

  /** @throws {PgproofError} `dump-unverified` when one is missing, or is one too many. */
  finish(toc: Toc | undefined, others: readonly string[] = []): void {
    if (toc === undefined) throw unverified('it has no whole toc.dat');
    for (const [file, rest] of this.#begun) if (rest.length > 0) throw unverified(`'${file}' is cut off`);
    const names = toc.data.map(({ dumpId, isObjects }) => (isObjects ? this.#listOf(dumpId) : `${dumpId}.dat`));
    const expected = new Set(['toc.dat', ...others, ...names, ...this.#listed]);
    const missing = [...expected].filter((file) => !this.#found.has(file));
    if (missing.length > 0) throw unverified(`${missing.length} files are missing, such as '${missing[0]}'`);
    const unknown = [...this.#found].find((file) => !expected.has(file));
    if (unknown !== undefined) throw unverified(`nothing lists its file '${unknown}'`);
  }

  /** From 17 on there can be several. */
  #listOf(dumpId: number): string {
    const own = `blobs_${dumpId}.toc`;
    return this.#found.has(own) ? own : 'blobs.toc';
  }
}
