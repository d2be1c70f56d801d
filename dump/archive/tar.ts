import { TarReader } from '../../postgres/tar/reader.ts';
import { type ArchiveCheck, type Entries, entriesOf } from './check.ts';
import { ExpectedFiles } from './files.ts';
import { Feed } from './reading.ts';
import { readToc, type Toc } from './toc.ts';
import { unverified } from './unverified.ts';

/** pg_dump's tar format: `toc.dat`, the files that it names, and `restore.sql`. */
export class TarCheck implements ArchiveCheck {
  readonly #reader = new TarReader();
  readonly #toc = new Feed(readToc('file'));
  readonly #files = new ExpectedFiles();
  #name = '';

  get toc(): Toc | undefined {
    return this.#toc.result;
  }

  read(chunk: Buffer): void {
    for (const event of this.#reader.read(chunk)) {
      if (event.kind === 'entry') this.#name = event.entry.name;
      else if (event.kind === 'end') this.#files.found(this.#name);
      else if (this.#name === 'toc.dat') this.#toc.push(event.bytes);
      else if (ExpectedFiles.isList(this.#name)) this.#files.list(this.#name, event.bytes);
    }
  }

  finish(): Entries {
    this.#reader.finish();
    this.#files.finish(this.toc, ['restore.sql']);
    if (this.toc === undefined) throw unverified('it has no toc.dat');
    return entriesOf(this.toc);
  }
}
