import { unverified } from './check.ts';
import type { Toc } from './toc.ts';

const lineFeed = 10;

/**
 * The files that an archive of files must have: `toc.dat`, one for each entry with data, and where an entry is of large objects, its
 * file lists theirs. All without the suffix of their compression.
 */
export class ExpectedFiles {
  readonly #found = new Set<string>();
  readonly #listed: string[] = [];
  #line: Buffer = Buffer.alloc(0);

  /** A list of large objects: a line each, its oid and its file. */
  static isList(file: string): boolean {
    return /^blobs(?:_\d+)?\.toc$/.test(file);
  }

  /** Bytes of a list of large objects. Lists come one after the other, each to its end. */
  list(bytes: Buffer): void {
    let from = 0;
    for (let end = bytes.indexOf(lineFeed); end !== -1; end = bytes.indexOf(lineFeed, from)) {
      const line = Buffer.concat([this.#line, bytes.subarray(from, end)]).toString('latin1');
      const file = /^\d+ (blob_\d+\.dat)$/.exec(line)?.[1];
      if (file === undefined) throw unverified(`a list of large objects says '${line}'`);
      this.#listed.push(file);
      this.#line = Buffer.alloc(0);
      from = end + 1;
    }
    this.#line = Buffer.concat([this.#line, bytes.subarray(from)]);
  }

  /** A whole file has passed. */
  found(file: string): void {
    if (this.#found.has(file)) throw unverified(`it has '${file}' twice`);
    this.#found.add(file);
  }

  /** @throws {PgproofError} `dump-unverified` when one is missing, or is one too many. */
  finish(toc: Toc | undefined, others: readonly string[] = []): void {
    if (toc === undefined) throw unverified('it has no whole toc.dat');
    if (this.#line.length > 0) throw unverified('a list of large objects is cut off');
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
