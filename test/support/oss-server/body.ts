import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { Crc64, joinedCrc64 } from '../../../storage/oss/crc64.ts';

/** What was received: small bodies in memory, others in files of the server's folder. Several slices are one body. */
export type Body = { bytes: number; md5: Buffer; crc64: string; slices: Slice[] };

type Slice = { bytes: number; memory?: Buffer; file?: string };

const memoryBytes = 256 * 1024;
let files = 0;

/** Takes a request's body as it comes. `change` may spoil it on the way: what is kept is what it answers. */
export async function receive(from: Readable, folder: string, change: (whole: Buffer) => Buffer): Promise<Body> {
  const md5 = createHash('md5');
  const crc = new Crc64();
  let bytes = 0;
  let waiting: Buffer[] = [];
  let file: FileHandle | undefined;
  const path = join(folder, String(++files));
  try {
    for await (const piece of from as AsyncIterable<Buffer>) {
      md5.update(piece);
      crc.update(piece);
      bytes += piece.length;
      waiting.push(piece);
      if (bytes <= memoryBytes && file === undefined) continue;
      file ??= await open(path, 'wx');
      for (const each of waiting) await file.write(each);
      waiting = [];
    }
  } finally {
    await file?.close();
  }
  if (file !== undefined) return { bytes, md5: md5.digest(), crc64: crc.value, slices: [{ bytes, file: path }] };
  const whole = Buffer.concat(waiting);
  const kept = change(whole);
  const digest = md5.digest();
  if (kept === whole) return { bytes, md5: digest, crc64: crc.value, slices: [{ bytes, memory: whole }] };
  // A store that spoils what it takes is honest about what it then has.
  const crc64 = new Crc64().update(kept).value;
  return { bytes: kept.length, md5: digest, crc64, slices: [{ bytes: kept.length, memory: kept }] };
}

export function joined(bodies: readonly Body[]): Body {
  const md5 = createHash('md5');
  for (const body of bodies) md5.update(body.md5);
  return {
    bytes: bodies.reduce((sum, body) => sum + body.bytes, 0),
    md5: md5.digest(),
    crc64: bodies.reduce((crc, body) => joinedCrc64(crc, body.crc64, body.bytes), '0'),
    slices: bodies.flatMap((body) => body.slices),
  };
}

/** Bytes [offset, offset + length) of a body. */
export async function* bytesOf(body: Body, offset: number, length: number): AsyncGenerator<Buffer> {
  let start = 0;
  for (const slice of body.slices) {
    const from = Math.max(offset - start, 0);
    const to = Math.min(offset + length - start, slice.bytes);
    start += slice.bytes;
    if (from >= to) continue;
    if (slice.memory !== undefined) yield slice.memory.subarray(from, to);
    else yield* createReadStream(slice.file as string, { start: from, end: to - 1 }) as AsyncIterable<Buffer>;
  }
}
