import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { CbcOpener } from '../codec/cbc.ts';
import { PgproofError } from '../core/errors.ts';
import type { Layer } from './peel.ts';

type Bytes = AsyncIterable<Buffer>;

/**
 * The bytes within the layers, some chunks of them in memory.
 * @throws {PgproofError} `object-damaged` where a layer does not come to its end, or something follows it.
 */
export function decoded(stored: Bytes, layers: readonly Layer[], passphrase: string | null): Bytes {
  return layers.reduce(
    (bytes, layer) => (layer === 'gzip' ? gunzipped(bytes) : deciphered(bytes, layer, passphrase as string)),
    stored,
  );
}

async function* deciphered(stored: Bytes, cipher: Exclude<Layer, 'gzip'>, passphrase: string): AsyncGenerator<Buffer> {
  const opener = new CbcOpener(cipher, passphrase);
  for await (const chunk of stored) yield* filled(opener.update(chunk));
  yield* filled(opener.final());
}

const filled = (pieces: readonly Uint8Array[]): Buffer[] =>
  pieces.filter(({ length }) => length > 0).map((piece) => Buffer.from(piece.buffer, piece.byteOffset, piece.length));

/** Several members one behind the other are one stream, as gunzip has it; Node would pass over anything else behind the last one. */
async function* gunzipped(stored: Bytes): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: 256 * 1024 });
  let storedBytes = 0;
  let failure: unknown;
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of stored) {
      storedBytes += chunk.length;
      yield chunk;
    }
  };
  const fed = pipeline(counted, gunzip).catch((error: unknown) => {
    failure = error;
  });
  try {
    for await (const chunk of gunzip) yield chunk as Buffer;
  } catch (cause) {
    if (cause instanceof Error && 'errno' in cause && String((cause as NodeJS.ErrnoException).code).startsWith('Z_'))
      throw gzipDamaged('its gzip data is damaged, or ends too early', cause);
    throw cause;
  } finally {
    gunzip.destroy();
    await fed;
  }
  if (gunzip.bytesWritten !== storedBytes) throw gzipDamaged('something follows its gzip data', failure);
}

const gzipDamaged = (why: string, cause: unknown): PgproofError => new PgproofError('object-damaged', why, { cause });
