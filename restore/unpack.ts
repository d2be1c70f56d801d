import { type FileHandle, mkdir, open, symlink } from 'node:fs/promises';
import { PgproofError } from '../core/errors.ts';
import { leadsElsewhere, type TarEntry, TarReader } from '../postgres/tar/reader.ts';

export type UnpackOptions = {
  /** The folder that the stream's names are relative to; it exists. */
  root: string;
  /** Where a tablespace is put, by its OID: a link in pg_tblspc points there, whatever the stream says. */
  tablespaces: ReadonlyMap<string, string>;
  /** Names that are left out. */
  skip: ReadonlySet<string>;
};

/** Bytes that may wait for the disk. */
const maxPendingBytes = 32 * 1024 * 1024;
const maxPendingFiles = 64;

/**
 * Unpacks a tar stream that arrives in chunks. Large chunks become large writes (small ones are what costs), several files
 * are written at once, and memory is bounded. Folders get mode 0700, files 0600, whatever the stream says. Nothing is
 * created outside of `root`, no link but a tablespace's, and no file twice.
 */
export class Unpacker {
  readonly #options: UnpackOptions;
  readonly #reader = new TarReader();
  readonly #folders = new Set<string>();
  readonly #pending = new Set<Promise<void>>();
  #pendingBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #abandoned = false;
  #failure: { error: unknown } | null = null;
  #file: OpenFile | null = null;

  constructor(options: UnpackOptions) {
    this.#options = options;
  }

  /**
   * @param chunk not used again by the caller: it may be written later.
   * @param written told when nothing of it is needed any more.
   * @throws {PgproofError} `tar-invalid`; `no-space`; `restore-unverified` for an entry that PostgreSQL never sends.
   */
  write(chunk: Buffer, written: () => void = () => {}): Promise<void> {
    this.#writing = this.#take(chunk, written);
    return this.#writing;
  }

  async #take(chunk: Buffer, written: () => void): Promise<void> {
    const writes: Promise<void>[] = [];
    for (const event of this.#reader.read(chunk)) {
      if (this.#abandoned) throw new PgproofError('cancelled', 'unpacking was given up');
      if (event.kind === 'entry') await this.#begin(event.entry);
      else if (event.kind === 'content') writes.push(...this.#content(event.bytes));
      else this.#end();
      if (this.#pendingBytes > maxPendingBytes || this.#pending.size > maxPendingFiles) await this.#room();
    }
    void Promise.all(writes).then(written);
  }

  /** Waits until everything is with the operating system. @throws {PgproofError} `tar-invalid` when the stream is not whole. */
  async finish(): Promise<void> {
    this.#reader.finish();
    await this.#settle();
  }

  /** After a failure: waits for what is still being written, so that nothing writes later. */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    await this.#writing.catch(() => {}); // why it failed is known to whoever gives up
    this.#end();
    await Promise.allSettled(this.#pending);
  }

  async #begin(entry: TarEntry): Promise<void> {
    const path = this.#pathOf(entry);
    if (entry.kind === 'folder') return this.#makeFolder(entry.name, path);
    if (entry.kind === 'symlink') return this.#linkTablespace(entry.name, path);
    if (entry.kind !== 'file') throw unexpected(entry, `it is a ${entry.kind}`);
    if (this.#options.skip.has(entry.name)) return;
    const opening = open(path, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'EEXIST' ? unexpected(entry, 'it is there twice') : error;
    });
    opening.catch(() => {}); // seen when the file is written or closed, which may be a chunk later
    this.#file = { opening, writes: [], position: 0 };
  }

  /** @returns the write that was begun; none for a file that is left out. */
  #content(bytes: Buffer): Promise<void>[] {
    const file = this.#file;
    if (file === null) return [];
    const position = file.position;
    file.position += bytes.length;
    const write = this.#counted(
      bytes.length,
      file.opening.then((handle) => writeAll(handle, bytes, position)),
    );
    file.writes.push(write);
    return [write];
  }

  #end(): void {
    const file = this.#file;
    this.#file = null;
    if (file !== null)
      this.#counted(
        0,
        Promise.allSettled(file.writes).then(async () => (await file.opening).close()),
      );
  }

  /** Keeps count of what waits, and the first failure, which `#room` or `#settle` throws. */
  #counted(bytes: number, work: Promise<void>): Promise<void> {
    this.#pendingBytes += bytes;
    const counted = work
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#pendingBytes -= bytes;
        this.#pending.delete(counted);
      });
    this.#pending.add(counted);
    return counted;
  }

  async #room(): Promise<void> {
    while (this.#pendingBytes > maxPendingBytes / 2 || this.#pending.size > maxPendingFiles / 2)
      await Promise.race(this.#pending);
    this.#throwFailure();
  }

  async #settle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw diskError(this.#failure.error, this.#options.root);
  }

  #pathOf(entry: TarEntry): Buffer {
    if (leadsElsewhere(entry)) throw unexpected(entry, 'its name leads elsewhere');
    const raw =
      entry.kind === 'folder'
        ? Buffer.from(entry.rawName.toString('latin1').replace(/\/+$/, ''), 'latin1')
        : entry.rawName;
    return Buffer.concat([Buffer.from(`${this.#options.root}/`), raw]);
  }

  async #makeFolder(name: string, path: Buffer): Promise<void> {
    if (name === '.' || this.#folders.has(name)) return;
    this.#folders.add(name);
    try {
      await mkdir(path, { mode: 0o700 });
    } catch (error) {
      throw diskError(error, this.#options.root);
    }
  }

  async #linkTablespace(name: string, path: Buffer): Promise<void> {
    const to = this.#options.tablespaces.get(/^pg_tblspc\/(\d+)$/.exec(name)?.[1] ?? '');
    if (to === undefined) throw unexpected({ name }, 'it is a link that is not a tablespace of the backup');
    await symlink(to, path);
  }
}

type OpenFile = { opening: Promise<FileHandle>; writes: Promise<void>[]; position: number };

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function diskError(error: unknown, root: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new PgproofError('no-space', `there is no space left at '${root}'`, {
    facts: { path: root },
    hint: 'Free some space there and start the restore again, or plan it into another folder.',
    cause: error,
  });
}

function unexpected(entry: { name: string }, why: string): PgproofError {
  return new PgproofError(
    'restore-unverified',
    `the backup has an entry '${entry.name}' that no data directory has: ${why}`,
    { facts: { name: entry.name } },
  );
}
