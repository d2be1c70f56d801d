import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { PgproofError } from '../../core/errors.ts';
import { TarReader } from '../../postgres/tar/reader.ts';
import { writeAll } from '../../storage/file/durable.ts';
import { parseMember } from '../directory/member.ts';

/**
 * The folder that pg_dump -Fd wrote, out of the tar that it is stored as: large files lie in it in pieces, `3456.dat.zst.000001`
 * and so on in their order, with others between them.
 */
export class DirectoryUnpacker {
  readonly #folder: string;
  readonly #tar = new TarReader();
  /** By file: how many of its pieces are there. */
  readonly #pieces = new Map<string, number>();
  #file: FileHandle | undefined;

  readonly #only: string | null;

  /** Makes the folder, 0700. @param only the one file that is wanted; null: all. */
  static async into(folder: string, only: string | null = null): Promise<DirectoryUnpacker> {
    await mkdir(folder, { mode: 0o700 });
    return new DirectoryUnpacker(folder, only);
  }

  constructor(folder: string, only: string | null) {
    this.#folder = folder;
    this.#only = only;
  }

  /** Whether the one file that is wanted is there, whole. */
  get hasOnly(): boolean {
    return this.#only !== null && this.#file === undefined && this.#pieces.has(this.#only);
  }

  /** @throws {PgproofError} `tar-invalid` */
  async take(chunk: Buffer): Promise<void> {
    for (const event of this.#tar.read(chunk)) {
      if (event.kind === 'entry' && event.entry.kind === 'file') await this.#begin(event.entry.name);
      else if (event.kind === 'content' && this.#file !== undefined) await writeAll(this.#file, event.bytes);
      else if (event.kind === 'end') await this.close();
    }
  }

  /** @throws {PgproofError} `tar-invalid` when the stream broke off, or is no directory dump. */
  finish(): void {
    this.#tar.finish();
    if (!this.#pieces.has('toc.dat')) throw invalid('it has no toc.dat, so that it is no directory dump');
  }

  /** Safe to call twice. */
  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #begin(member: string): Promise<void> {
    // A folder of pg_dump's is flat: any other name would lead out of the staging folder.
    const parsed = parseMember(member.replace(/^\.\//, ''));
    if (parsed === undefined) throw invalid(`'${member}' is no file of a directory dump`);
    const { file: base, piece } = parsed;
    const due = (this.#pieces.get(base) ?? 0) + 1;
    if (piece === null ? due !== 1 : piece !== due) throw invalid(`'${member}' is not the next piece of '${base}'`);
    this.#pieces.set(base, due);
    if (this.#only !== null && base !== this.#only) return;
    this.#file = await open(join(this.#folder, base), due === 1 ? 'wx' : 'a', 0o600);
  }
}

const invalid = (message: string): PgproofError =>
  new PgproofError('tar-invalid', `the stream of a directory dump: ${message}`);
