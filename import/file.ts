import type { Stats } from 'node:fs';
import { constants, type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { throwIfAborted } from '../core/abort.ts';
import { hasCode, PgproofError } from '../core/errors.ts';
import { printable } from '../core/format.ts';
import { checked } from './checksum.ts';
import type { Content } from './content.ts';
import { decoded } from './decoded.ts';
import { headBytes, type Layer, type Opening, peel } from './peel.ts';

/** An old script's file: what it is, and what is in it, as often as it is asked for. */
export type OldFile = {
  path: string;
  /** Its last component. */
  name: string;
  storedBytes: number;
  modifiedAt: Date;
  /** From the outside in: what it was compressed and encrypted with. */
  layers: readonly Layer[];
  content: Content;
  /** The first bytes of what is within. */
  head: Buffer;
  /**
   * The bytes within. They count for nothing before the end has come without an error: a cut file shows only there.
   * @param sha256 that the bytes as they lie there must have.
   */
  plain(signal: AbortSignal, sha256?: string | null): AsyncIterable<Buffer>;
};

/**
 * Looks at some kilobytes of a file. Symlinks are not followed, and nothing but an ordinary file is opened.
 * @throws {PgproofError} `file-refused`, `passphrase-missing`, `passphrase-wrong`, `object-damaged`, each with the path.
 */
export async function openFile(path: string, opening: Opening): Promise<OldFile> {
  await using file = await openOrdinary(path);
  const stat = await file.stat();
  const head = Buffer.alloc(Math.min(headBytes, stat.size));
  const { bytesRead } = await file.read(head, 0, head.length, 0);
  const read = head.subarray(0, bytesRead);
  const peeled = naming(path, () => peel(read, stat.size <= bytesRead, opening));
  return {
    path,
    name: basename(path),
    storedBytes: stat.size,
    modifiedAt: stat.mtime,
    ...peeled,
    plain: (signal, sha256 = null) => {
      const stored = storedBytes(path, stat, signal);
      const proven = sha256 === null ? stored : checked(stored, sha256);
      return namingAll(path, decoded(proven, peeled.layers, opening.passphrase));
    },
  };
}

async function openOrdinary(path: string): Promise<FileHandle> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((cause: NodeJS.ErrnoException) => {
    throw refused(path, cause.code === 'ELOOP' ? 'a symlink' : `not to be read (${cause.code})`, cause);
  });
  const stat = await file.stat();
  if (stat.isFile()) return file;
  await file.close();
  throw refused(path, stat.isDirectory() ? 'a folder' : 'no ordinary file');
}

async function* storedBytes(path: string, seen: Stats, signal: AbortSignal): AsyncGenerator<Buffer> {
  await using file = await openOrdinary(path);
  if (!isSame(seen, await file.stat())) throw changed();
  for await (const chunk of file.createReadStream({ highWaterMark: 1 << 20, autoClose: false })) {
    throwIfAborted(signal);
    yield chunk as Buffer;
  }
  if (!isSame(seen, await file.stat())) throw changed();
}

const isSame = (one: Stats, other: Stats): boolean =>
  one.ino === other.ino && one.dev === other.dev && one.size === other.size && one.mtimeMs === other.mtimeMs;

function naming<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw named(path, error);
  }
}

async function* namingAll(path: string, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* bytes;
  } catch (error) {
    throw named(path, error);
  }
}

/** What is wrong with the bytes, said of the file. */
export function named(path: string, error: unknown): unknown {
  if (!hasCode(error, 'object-damaged', 'passphrase-missing', 'passphrase-wrong', 'tar-invalid')) return error;
  if (error.facts.path !== undefined) return error;
  const hint =
    error.code === 'object-damaged' || error.code === 'tar-invalid'
      ? 'It was cut, or changed, after it was made, or never came to its end. Take another one.'
      : error.hint;
  // A decoder does not know of files.
  const message = error.message.replace('the stored bytes are damaged: ', '');
  return error.retold({ message: `'${printable(path)}': ${message}`, facts: { path }, hint });
}

function refused(path: string, what: string, cause?: unknown): PgproofError {
  return new PgproofError('file-refused', `'${printable(path)}' is ${what}`, {
    facts: { path },
    hint: 'Give the path of the file itself, readable by the user that runs pgproof.',
    cause,
  });
}

function changed(): PgproofError {
  return new PgproofError('object-damaged', 'it changed while it was read');
}
