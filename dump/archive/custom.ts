import { isDeepStrictEqual } from 'node:util';
import { type ArchiveCheck, type Entries, entriesOf } from './check.ts';
import { Feed } from './reading.ts';
import { readEntries, readToc, type Toc } from './toc.ts';
import { unverified } from './unverified.ts';

/** Kinds of blocks. Source: PostgreSQL src/bin/pg_dump/pg_backup_archiver.h. */
const tableBlock = 1;
const largeObjectsBlock = 3;
/** The sign of a positive number: how a table of contents begins. */
const sign = 0;

/**
 * Follows an archive in custom format to its end: after the table of contents come blocks, each the data of one entry in chunks that
 * tell their length. It is whole when it ends after a block, and every entry with data had one. Of PostgreSQL 16 and later the table of
 * contents may come once more, at the end: `pg_dump -Fc > file` means to write it over the first one, with the places of the blocks,
 * and has set its standard output to append.
 * Source: PostgreSQL src/bin/pg_dump/pg_backup_custom.c, _CloseArchive; pg_backup_archiver.c, _allocAH.
 */
export class CustomCheck implements ArchiveCheck {
  readonly #toc = new Feed(readToc('offset'));
  #blocks: Blocks | undefined;

  get toc(): Toc | undefined {
    return this.#toc.result;
  }

  read(chunk: Buffer): void {
    const taken = this.#toc.push(chunk);
    if (this.#toc.result === undefined) return;
    this.#blocks ??= new Blocks(this.#toc.result);
    if (taken < chunk.length) this.#blocks.read(chunk.subarray(taken));
  }

  finish(): Entries {
    if (this.#toc.result === undefined || this.#blocks === undefined)
      throw unverified('it ends in its table of contents');
    this.#blocks.finish();
    return entriesOf(this.#toc.result);
  }
}

type Expected = 'kind' | 'id' | 'length' | 'bytes' | 'object';

class Blocks {
  readonly #toc: Toc;
  #again: Feed<Toc> | undefined;
  readonly #numberBytes: number;
  readonly #missing: Set<number>;
  #expected: Expected = 'kind';
  #inObjects = false;
  #left = 0;
  /** The beginning of a number whose end is in the next chunk. */
  #begun: Buffer = Buffer.alloc(0);

  constructor(toc: Toc) {
    this.#toc = toc;
    this.#numberBytes = 1 + toc.form.intBytes;
    this.#missing = new Set(toc.data.map(({ dumpId }) => dumpId));
  }

  read(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#again !== undefined) {
        const taken = this.#again.push(chunk.subarray(at));
        if (taken < chunk.length - at) throw unverified('something follows its second table of contents');
        at += taken;
      } else if (this.#expected === 'bytes') {
        const passed = Math.min(this.#left, chunk.length - at);
        at += passed;
        this.#left -= passed;
        if (this.#left === 0) this.#expected = 'length';
      } else if (this.#expected === 'kind' && chunk[at] === sign && this.#missing.size === 0) {
        this.#again = new Feed(readEntries(this.#toc.form));
      } else if (this.#expected === 'kind') {
        this.#begin(chunk[at] as number);
        at += 1;
      } else {
        const wanted = this.#numberBytes - this.#begun.length;
        const found = chunk.subarray(at, at + wanted);
        at += found.length;
        const raw = this.#begun.length === 0 ? found : Buffer.concat([this.#begun, found]);
        if (raw.length < this.#numberBytes) this.#begun = Buffer.from(raw);
        else {
          this.#begun = Buffer.alloc(0);
          this.#number(raw);
        }
      }
    }
  }

  finish(): void {
    if (this.#expected !== 'kind') throw unverified('it ends within a block of data');
    const [first] = this.#missing;
    if (first !== undefined) throw unverified(`${this.#missing.size} entries have no data, such as ${first}`);
    if (this.#again === undefined) return;
    if (this.#again.result === undefined) throw unverified('it ends in its second table of contents');
    if (!isDeepStrictEqual(this.#again.result, this.#toc)) throw unverified('its two tables of contents differ');
  }

  #begin(kind: number): void {
    if (kind !== tableBlock && kind !== largeObjectsBlock) throw unverified(`it has a block of kind ${kind}`);
    this.#inObjects = kind === largeObjectsBlock;
    this.#expected = 'id';
  }

  #number(raw: Buffer): void {
    const value = raw.readUInt32LE(1);
    if (raw[0] !== 0) throw unverified('a length is negative');
    if (this.#expected === 'id') {
      if (!this.#missing.delete(value))
        throw unverified(`it has data of entry ${value} that it does not list, or twice`);
      this.#expected = this.#inObjects ? 'object' : 'length';
    } else if (this.#expected === 'object') {
      this.#expected = value === 0 ? 'kind' : 'length';
    } else {
      this.#left = value;
      this.#expected = value > 0 ? 'bytes' : this.#inObjects ? 'object' : 'kind';
    }
  }
}
