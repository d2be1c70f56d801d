import { constants, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { generateIdentity } from '../../codec/age-keys.ts';
import { decodeBytes } from '../../codec/decode.ts';
import { encodeBytes } from '../../codec/encode.ts';
import { openerFor, type Sealing, sealerFor } from '../../codec/sealing.ts';
import { associatedData, decodeStream, noise, open, sample, sealed, sealings, through } from './support.ts';

const mib = 1 << 20;
const damaged = { code: 'object-damaged', permanent: true };

/** No byte that is not a prefix of the plain text leaves the decoder, neither as a whole nor as a stream. */
async function expectDamage(what: string, stored: Uint8Array, plain: Buffer, sealing: Sealing): Promise<void> {
  // Only the length of what should not be there: printing megabytes takes minutes.
  const decoding = decodeBytes(stored, sealing, associatedData, { maxBytes: 64 * mib }).then(({ length }) => length);
  await expect(decoding, what).rejects.toMatchObject(damaged);
  const streamed = await decodeStream(stored, sealing, 100_003);
  expect(streamed.error, what).toMatchObject(damaged);
  expect(plain.subarray(0, streamed.plain.length).equals(streamed.plain), what).toBe(true);
}

/** Of the format: where the first segment begins, and how many bytes each has. In the first 1 MiB of Tink's, the header counts. */
type Format = { sealing: Sealing; firstAt: number; headerBytes: number; segmentBytes: number };

/** Positions at every border of the format, and some between. */
function positions(length: number, { firstAt, headerBytes, segmentBytes }: Format, seed: number): number[] {
  const around = (at: number) => [at - 17, at - 16, at - 1, at, at + 1];
  const borders = [firstAt + segmentBytes, firstAt + 2 * segmentBytes, length].flatMap(around);
  const header = [0, 1, 21, 22, 32, 33, 64, 168, 169, ...around(headerBytes)];
  const drawn = new Uint32Array(noise(16, seed).buffer.slice(0, 16));
  const all = [...header, ...borders, ...[...drawn].map((word) => word % length)];
  return [...new Set(all)].filter((at) => at >= 0 && at < length);
}

/** What the cipher released is a beginning of the plain text, in whole segments, and then it fails. */
function expectCutNoticed(what: string, stored: Uint8Array, plain: Buffer, sealing: Sealing): void {
  const opener = openerFor(sealing, associatedData);
  const opened: Uint8Array[] = [];
  const open = () => {
    for (let at = 0; at < stored.length; at += 50_021) opened.push(...opener.update(stored.subarray(at, at + 50_021)));
    opened.push(...opener.final());
  };
  expect(open, what).toThrow(expect.objectContaining(damaged));
  const released = Buffer.concat(opened);
  expect(plain.subarray(0, released.length).equals(released), what).toBe(true);
}

const flip = (stored: Uint8Array, at: number, bit: number): Buffer => {
  const copy = Buffer.from(stored);
  copy[at] = (copy[at] as number) ^ (1 << bit);
  return copy;
};

describe.each([
  { cipher: 'aes-256-gcm', firstAt: 0, headerBytes: 40, segmentBytes: mib },
  { cipher: 'chacha20-poly1305', firstAt: 184, headerBytes: 184, segmentBytes: 65_536 + 16 },
] as const)('bytes encrypted with $cipher', ({ cipher, ...places }) => {
  const sealing = sealings[cipher];
  const format = { sealing, ...places };
  const plain = noise(3 * format.segmentBytes + 12_345);
  const small = sample(300);

  test('a flipped bit anywhere is an error before a byte made of it is used', async () => {
    const stored = await encodeBytes(plain, sealing, associatedData);
    for (const at of positions(stored.length, format, 11))
      await expectDamage(`bit at ${at}`, flip(stored, at, at % 8), plain, sealing);
  });

  test('every single bit of a small object counts', async () => {
    const stored = await encodeBytes(small, sealing, associatedData);
    for (let at = 0; at < stored.length; at += 1) {
      const decoding = decodeBytes(flip(stored, at, at % 8), sealing, associatedData, { maxBytes: mib });
      await expect(decoding, `byte ${at}`).rejects.toMatchObject(damaged);
    }
  });

  test('a cut anywhere is an error, also at the border of a segment', async () => {
    const stored = await encodeBytes(plain, sealing, associatedData);
    for (const at of positions(stored.length, format, 23))
      await expectDamage(`cut at ${at}`, stored.subarray(0, at), plain, sealing);
  });

  test('a small object that is cut anywhere is an error', async () => {
    const stored = await encodeBytes(small, sealing, associatedData);
    for (let at = 0; at < stored.length; at += 1) {
      const decoding = decodeBytes(stored.subarray(0, at), sealing, associatedData, { maxBytes: mib });
      await expect(decoding, `cut at ${at}`).rejects.toMatchObject(damaged);
    }
  });

  test('segments that are swapped, left out or repeated are an error', async () => {
    const stored = Buffer.from(await encodeBytes(plain, sealing, associatedData));
    const { firstAt, segmentBytes } = format;
    const segment = (index: number) =>
      stored.subarray(firstAt + index * segmentBytes, firstAt + (index + 1) * segmentBytes);
    for (const order of [
      [0, 2, 1, 3],
      [1, 0, 2, 3],
      [0, 2, 3],
      [0, 1, 3],
      [0, 1, 1, 2, 3],
      [0, 1, 2, 3, 3],
      [3],
      [0, 1, 2],
    ]) {
      const joined = Buffer.concat([stored.subarray(0, firstAt), ...order.map(segment)]);
      await expectDamage(`order ${order}`, joined, plain, sealing);
    }
  });

  test('the cipher alone notices a cut, at the border of a segment, too, and yields nothing that it has not checked', () => {
    const stored = through(sealerFor(sealing, associatedData), plain);
    for (const at of positions(stored.length, format, 31))
      expectCutNoticed(`cut at ${at}`, stored.subarray(0, at), plain, sealing);
  });

  test('the cipher alone yields no byte of a segment in which one was changed', () => {
    const stored = through(sealerFor(sealing, associatedData), plain);
    for (const at of positions(stored.length, format, 37))
      expectCutNoticed(`bit at ${at}`, flip(stored, at, at % 8), plain, sealing);
  });

  test('bytes in front or behind are an error', async () => {
    const stored = await encodeBytes(plain, sealing, associatedData);
    const other = await encodeBytes(small, sealing, associatedData);
    for (const extra of [Buffer.of(0), Buffer.alloc(16), Buffer.alloc(mib), other, stored]) {
      await expectDamage(`${extra.length} behind`, Buffer.concat([stored, extra]), plain, sealing);
      await expectDamage(`${extra.length} in front`, Buffer.concat([extra, stored]), plain, sealing);
    }
  });
});

test('what Tink binds to its name does not open under another; with another key nothing opens', async () => {
  const small = sample(300);
  const elsewhere = new TextEncoder().encode('shop/0001-pg15-1/base/x/pgdata.2.tar');
  const stored = await encodeBytes(small, sealed, associatedData);
  await expect(decodeBytes(stored, sealed, elsewhere, { maxBytes: mib })).rejects.toMatchObject(damaged);
  const others: Sealing[] = [
    { cipher: 'aes-256-gcm', key: new Uint8Array(32).fill(8) },
    { cipher: 'chacha20-poly1305', ...generateIdentity() },
    { cipher: 'aes-256-cbc', passphrase: 'another' },
  ];
  for (const other of others) {
    const theirs = await encodeBytes(small, sealings[other.cipher], associatedData);
    await expect(decodeBytes(theirs, other, associatedData, { maxBytes: mib })).rejects.toMatchObject(damaged);
  }
});

describe('bytes that are only compressed', () => {
  const plain = noise(9 * mib);

  test('a flipped bit within a frame is an error: each frame has a checksum', async () => {
    const stored = await encodeBytes(sample(50_000), open, associatedData);
    for (let at = 0; at < stored.length; at += 997)
      await expectDamage(`bit at ${at}`, flip(stored, at, at % 8), sample(50_000), open);
  });

  test('a cut within a frame, and anything behind that is no frame, is an error', async () => {
    const stored = await encodeBytes(plain, open, associatedData);
    for (const at of [0, 1, 5, 12, 4 * mib, 5 * mib, stored.length - 1]) {
      await expectDamage(`cut at ${at}`, stored.subarray(0, at), plain, open);
    }
    for (const extra of [Buffer.of(0), Buffer.from('PGPROOF'), Buffer.alloc(100)]) {
      await expectDamage(`${extra.length} behind`, Buffer.concat([stored, extra]), plain, open);
    }
  });

  test('a frame that states no size, or a wrong or large one, is refused before it is decoded', async () => {
    const params = { [constants.ZSTD_c_contentSizeFlag]: 0 };
    const silent = zstdCompressSync(sample(1000), { params });
    await expectDamage('silent', silent, sample(1000), open);
    const large = zstdCompressSync(Buffer.alloc(5 * mib), { pledgedSrcSize: 5 * mib });
    await expectDamage('large', large, Buffer.alloc(0), open);
    const stored = Buffer.from(await encodeBytes(sample(70_000), open, associatedData));
    stored.writeUInt32LE(69_999, 5);
    await expectDamage('wrong', stored, sample(70_000), open);
  });
});
