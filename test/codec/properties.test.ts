import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { decodeBytes } from '../../codec/decode.ts';
import { encodeBytes } from '../../codec/encode.ts';
import type { Sealing } from '../../codec/sealing.ts';
import { mutations } from './mutations.ts';
import { associatedData, decodeStream, noise, sample, sealings, testedSealings } from './support.ts';

/* Drawn damage, always the same. PGPROOF_TEST_FULL draws more. */
const count = process.env.PGPROOF_TEST_FULL ? 1200 : 120;
const timeout = 300_000;
const damaged = { code: 'object-damaged', permanent: true };
const maxBytes = 64 << 20;

/** A small object and one of several segments, chunks and frames. */
const plains = [sample(700), noise(300_000), sample(9 << 20)];

const authenticated = [
  { cipher: 'aes-256-gcm', from: 0, grain: 1 << 20 },
  { cipher: 'chacha20-poly1305', from: 184, grain: 65_552 },
] as const;

describe.each(authenticated)('whatever happens to an object under $cipher', ({ cipher, from, grain }) => {
  test('it is an error, and no byte leaves the decoder that was not authenticated', { timeout }, async () => {
    const sealing = sealings[cipher];
    for (const [seed, plain] of plains.entries()) {
      const stored = Buffer.from(await encodeBytes(plain, sealing, associatedData));
      for (const { what, damaged: bytes } of mutations(stored, { from, grain, count: count >> seed, seed })) {
        const whole = decodeBytes(bytes, sealing, associatedData, { maxBytes }).then(({ length }) => length);
        await expect(whole, what).rejects.toMatchObject(damaged);
        const streamed = await decodeStream(bytes, sealing, 30_011);
        expect(streamed.error, what).toMatchObject(damaged);
        expect(plain.subarray(0, streamed.plain.length).equals(streamed.plain), what).toBe(true);
      }
    }
  });
});

const unauthenticated = testedSealings.filter(({ cipher }) => cipher === 'none' || cipher.endsWith('cbc'));

describe.each(unauthenticated)('whatever happens to an object under $cipher', (sealing) => {
  test('it is an error, or what comes of it is not what the record and the tag say', { timeout }, async () => {
    for (const [seed, plain] of plains.entries()) {
      const stored = Buffer.from(await encodeBytes(plain, sealing, associatedData));
      for (const { what, damaged: bytes } of mutations(stored, { from: 0, grain: 16, count: count >> seed, seed })) {
        expect(await accepted(bytes, sealing, plain, stored), what).toBe(false);
      }
    }
  });
});

/** As a restore takes a part: size and SHA-256 as stored, and plain size, must be what the record says. WAL: its plain bytes. */
async function accepted(bytes: Buffer, sealing: Sealing, plain: Buffer, stored: Buffer): Promise<boolean> {
  const { plain: decoded, error } = await decodeStream(bytes, sealing, 30_011);
  if (error !== undefined) {
    expect(error).toMatchObject(damaged);
    return false;
  }
  const asWal = sha256(decoded) === sha256(plain);
  // Of WAL only the content counts: bytes that still decode to all of it do no harm.
  if (asWal) expect(decoded.equals(plain)).toBe(true);
  return bytes.length === stored.length && decoded.length === plain.length && sha256(bytes) === sha256(stored);
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
