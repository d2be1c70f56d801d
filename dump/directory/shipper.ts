import { type FileHandle, open, rm } from 'node:fs/promises';
import { type Entries, entriesOf } from '../archive/check.ts';
import { ExpectedFiles } from '../archive/files.ts';
import { Feed } from '../archive/reading.ts';
import { readToc } from '../archive/toc.ts';
import { unverified } from '../archive/unverified.ts';
import type { Piece } from './choose.ts';
import { checkOf, type FileCheck } from './ending.ts';
import type { GrowingFile } from './growing.ts';
import { memberName } from './member.ts';
import { punchHole } from './space.ts';
import type { TarStream } from './tar-stream.ts';

/** A file that is being shipped. */
type Open = { handle: FileHandle; check: FileCheck };

/** Puts pieces of files into the tar stream, looks at their bytes, and takes them off this host's disk. */
export class Shipper {
  readonly #tar: TarStream;
  readonly #punches: boolean;
  readonly #signal: AbortSignal;
  readonly #open = new Map<string, Open>();
  readonly #expected = new ExpectedFiles();
  readonly #toc = new Feed(readToc('file'));

  constructor(tar: TarStream, { punches, signal }: { punches: boolean; signal: AbortSignal }) {
    this.#tar = tar;
    this.#punches = punches;
    this.#signal = signal;
  }

  async ship({ file, bytes, isLast }: Piece): Promise<void> {
    const { handle, check } = await this.#opened(file);
    const isOnly = isLast && file.pieces === 0;
    let at = file.shippedBytes;
    await this.#tar.add(memberName(file.name, isOnly ? null : file.pieces + 1), bytes, async (into) => {
      await readFully(handle, file, into, at);
      at += into.length;
      await check.read(into);
    });
    if (isLast) return this.#close(file);
    if (this.#punches) await punchHole(file.path, file.shippedBytes, bytes, this.#signal);
  }

  /**
   * The folder's files were all shipped.
   * @throws {PgproofError} `dump-unverified` unless they are those that `toc.dat` lists.
   */
  finish(): Entries {
    this.#expected.finish(this.#toc.result);
    if (this.#toc.result === undefined) throw unverified('its toc.dat is cut off');
    return entriesOf(this.#toc.result);
  }

  /** What is still open when a dump breaks off. */
  async abandon(): Promise<void> {
    for (const { handle } of this.#open.values()) await handle.close();
    this.#open.clear();
  }

  async #opened(file: GrowingFile): Promise<Open> {
    const known = this.#open.get(file.name);
    if (known !== undefined) return known;
    const opened = { handle: await open(file.path), check: this.#checkOf(file.name) };
    this.#open.set(file.name, opened);
    return opened;
  }

  #checkOf(name: string): FileCheck {
    if (name === 'toc.dat') return { read: (bytes) => void this.#toc.push(bytes), finish: () => {} };
    if (ExpectedFiles.isList(name)) return { read: (bytes) => this.#expected.list(name, bytes), finish: () => {} };
    return checkOf(name);
  }

  async #close(file: GrowingFile): Promise<void> {
    const { handle, check } = this.#open.get(file.name) as Open;
    this.#open.delete(file.name);
    await handle.close();
    await check.finish();
    this.#expected.found(file.name.replace(/\.(?:gz|zst|lz4)$/, ''));
    if (file.name !== 'toc.dat') await rm(file.path); // pg_restore is still to list it
  }
}

async function readFully(handle: FileHandle, { name }: GrowingFile, into: Buffer, from: number): Promise<void> {
  for (let filled = 0; filled < into.length; ) {
    const { bytesRead } = await handle.read(into, filled, into.length - filled, from + filled);
    if (bytesRead === 0) throw unverified(`'${name}' became shorter while pg_dump wrote it`);
    filled += bytesRead;
  }
}
