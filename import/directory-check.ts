import { type ArchiveCheck, type Entries, entriesOf } from '../dump/archive/check.ts';
import { ExpectedFiles } from '../dump/archive/files.ts';
import { Feed } from '../dump/archive/reading.ts';
import { readToc, type Toc } from '../dump/archive/toc.ts';
import { unverified } from '../dump/archive/unverified.ts';
import { parseMember } from '../dump/directory/member.ts';
import { TarReader } from '../postgres/tar/reader.ts';

/** The tar that a directory dump is read as: `toc.dat` and the files that it names, none missing and none too many. */
export class DirectoryCheck implements ArchiveCheck {
  readonly #reader = new TarReader();
  readonly #toc = new Feed(readToc('file'));
  readonly #files = new ExpectedFiles();
  #file = '';

  get toc(): Toc | undefined {
    return this.#toc.result;
  }

  read(chunk: Buffer): void {
    for (const event of this.#reader.read(chunk)) {
      if (event.kind === 'entry') this.#begin(event.entry.name);
      else if (event.kind === 'content' && this.#file === 'toc.dat') this.#toc.push(event.bytes);
      else if (event.kind === 'content' && ExpectedFiles.isList(this.#file)) this.#files.list(this.#file, event.bytes);
    }
  }

  finish(): Entries {
    this.#reader.finish();
    this.#files.finish(this.toc);
    if (this.toc === undefined) throw unverified('it has no toc.dat');
    return entriesOf(this.toc);
  }

  #begin(name: string): void {
    const member = parseMember(name);
    if (member === undefined) throw unverified(`'${name}' is no file of a directory dump`);
    this.#file = member.file;
    // A large one comes in several pieces.
    if (member.piece === null || member.piece === 1) this.#files.found(member.file.replace(/\.(?:gz|zst|lz4)$/, ''));
  }
}
