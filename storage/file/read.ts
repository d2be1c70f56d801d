import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { throwIfAborted } from '../../core/abort.ts';
import { PgproofError } from '../../core/errors.ts';
import { objectMissing, rangeOutside } from '../errors.ts';
import { isErrno, storeError } from './errors.ts';

const pieceBytes = 1 << 20;

type Range = { offset: number; length: number };

/** Opens before it answers, so that a missing object and a bad range are errors of the call and not of the stream. */
export async function readFile(root: string, key: string, range?: Range, signal?: AbortSignal): Promise<Readable> {
  const path = join(root, key);
  const file = await openFile(path, key);
  try {
    const { size } = await file.stat();
    const { offset, length } = range ?? { offset: 0, length: size };
    if (offset < 0 || length < 0 || offset + length > size) throw rangeOutside(key, { offset, length }, size);
    return streamOf(file, path, { offset, length }, signal);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openFile(path: string, key: string): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    throw isErrno(error, 'ENOENT', 'ENOTDIR') ? objectMissing(key) : storeError('read', path, error);
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw objectMissing(key);
}

/** Closes the file when it is destroyed, also before anybody began to read. */
function streamOf(file: FileHandle, path: string, { offset, length }: Range, signal?: AbortSignal): Readable {
  let at = offset;
  const next = async (): Promise<Buffer | null> => {
    throwIfAborted(signal);
    if (at === offset + length) return null;
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, offset + length - at));
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    if (bytesRead === 0)
      throw new PgproofError('object-damaged', `'${path}' ended while it was read`, { facts: { path } });
    at += bytesRead;
    return piece.subarray(0, bytesRead);
  };
  return new Readable({
    highWaterMark: pieceBytes,
    read() {
      next().then(
        (piece) => this.push(piece),
        (error: unknown) => this.destroy(storeError('read', path, error) as Error),
      );
    },
    destroy(error, done) {
      file.close().then(() => done(error), done);
    },
  });
}
