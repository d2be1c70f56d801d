import { Readable } from 'node:stream';
import { createDecoder } from '../../codec/decode.ts';
import { createEncoder } from '../../codec/encode.ts';
import type { Cipher, Pieces, Sealing } from '../../codec/sealing.ts';

/** An identity of age, and its recipient: written by age-keygen. */
export const identity = 'AGE-SECRET-KEY-1F3QK5N7Z5958RDXMX7YTHQ3Q3GFCRU2RR5MWW55R5VV59LQ43LDSNX6A50';
export const recipient = 'age1k5sd9sf8p3z9gfm0jqan8cphvse62dgecqsds7hhut64hvta2dgqqgxh9z';
export const passphrase = 'a passphrase, with ünicode and "quotes"';

/** Every cipher, with a key that is always the same. */
export const sealings: { [C in Cipher]: Sealing & { cipher: C } } = {
  none: { cipher: 'none' },
  'aes-256-gcm': { cipher: 'aes-256-gcm', key: new Uint8Array(32).fill(7) },
  'chacha20-poly1305': { cipher: 'chacha20-poly1305', recipient, identity },
  'aes-256-cbc': { cipher: 'aes-256-cbc', passphrase },
  'aes-192-cbc': { cipher: 'aes-192-cbc', passphrase },
  'aes-128-cbc': { cipher: 'aes-128-cbc', passphrase },
};
/** The three CBC forms differ in the length of a key: one stands for them, unless everything is asked for. */
export const testedSealings: Sealing[] = Object.values(sealings).filter(
  ({ cipher }) => process.env.PGPROOF_TEST_FULL || !/^aes-1..-cbc$/.test(cipher),
);
export const sealed = sealings['aes-256-gcm'];
export const open = sealings.none;

/** What any sealer or opener makes of bytes that come in pieces. */
export function through(pieces: Pieces, bytes: Uint8Array, size = 65_536): Buffer {
  return Buffer.concat([...[...cut(bytes, size)].flatMap((piece) => pieces.update(piece)), ...pieces.final()]);
}
export const associatedData = new TextEncoder().encode('shop/0001-pg15-1/base/x/pgdata.1.tar');

/** Bytes, always the same, that zstd neither shrinks to nothing nor leaves alone. */
export const sample = (bytes: number, seed = 1): Buffer => words(bytes, seed, 0x0f0f_0f0f);

/** Bytes, always the same, that stay as long as they are when they are compressed. */
export const noise = (bytes: number, seed = 1): Buffer => words(bytes, seed, 0xffff_ffff);

function words(bytes: number, seed: number, mask: number): Buffer {
  const drawn = new Uint32Array(Math.ceil(bytes / 4));
  let state = seed;
  for (let at = 0; at < drawn.length; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    drawn[at] = state & mask;
  }
  return Buffer.from(drawn.buffer, 0, bytes);
}

export async function encodeStream(plain: Uint8Array, sealing: Sealing, piece = 65_536): Promise<Buffer> {
  const encoder = Readable.from(cut(plain, piece)).pipe(createEncoder({ sealing, associatedData }));
  const pieces: Buffer[] = [];
  for await (const stored of encoder) pieces.push(Buffer.from(stored));
  return Buffer.concat(pieces);
}

/** What came out before the end or the error, and the error. */
export async function decodeStream(stored: Uint8Array, sealing: Sealing, piece = 65_536) {
  const decoder = createDecoder({ sealing, associatedData });
  const plain: Uint8Array[] = [];
  let error: unknown;
  try {
    Readable.from(cut(stored, piece)).pipe(decoder);
    for await (const bytes of decoder) plain.push(bytes);
  } catch (thrown) {
    error = thrown;
  }
  return { plain: Buffer.concat(plain), error };
}

function* cut(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
