import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { compressKept } from './compressor.ts';
import { damaged } from './damaged.ts';
import type { Frame } from './frames.ts';
import { onThread } from './threads.ts';

/*
 * One frame at a time on libuv's threads. Worker threads need as much CPU time (docs/decisions/021-frames-on-threads.md).
 */

const decompress = promisify(zstdDecompress);

/** @param plain at most `frameBytes`; not to be changed until the answer is there. */
export async function compressFrame(plain: Uint8Array, level: number): Promise<Buffer> {
  return onThread(() => compressKept(plain, level));
}

/** @throws {PgproofError} `object-damaged` unless the frame decodes to exactly what it states. */
export async function decompressFrame(frame: Frame): Promise<Buffer> {
  // A little more than is needed: a buffer that is filled to its end makes Node allocate a second one of that size.
  const room = frame.plainBytes + 64;
  const options = { chunkSize: room, maxOutputLength: room };
  const plain = await onThread(() => decompress(frame.stored, options)).catch((cause: unknown) => {
    throw damaged('a zstd frame does not decode', cause);
  });
  if (plain.length !== frame.plainBytes) throw damaged('a zstd frame decodes to another size than it states');
  return plain;
}
