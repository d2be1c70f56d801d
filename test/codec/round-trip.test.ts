import { execFileSync } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from 'vitest';
import { createDecoder, decodeBytes } from '../../codec/decode.ts';
import { createEncoder, encodeBytes } from '../../codec/encode.ts';
import { recognizedCiphers } from '../../codec/recognize.ts';
import { ciphers, openerFor, type Sealing, sealedBytes, sealerFor, suffixOf } from '../../codec/sealing.ts';
import {
  associatedData,
  decodeStream,
  encodeStream,
  noise,
  open,
  recipient,
  sample,
  sealed,
  sealings,
  testedSealings,
  through,
} from './support.ts';

const mib = 1 << 20;
/** Around the edges of everything: frame header sizes, zstd blocks, encrypted segments, chunks. */
const sizes = [
  0,
  1,
  255,
  256,
  65_791,
  65_792,
  128 * 1024,
  mib - 57,
  mib - 56,
  mib - 55,
  mib,
  4 * mib - 1,
  4 * mib,
  4 * mib + 1,
];

describe.each(testedSealings)('bytes under $cipher', (sealing) => {
  test.each([
    ['that compress', sample],
    ['that do not', noise],
  ])('%s come back as they were, whatever their number', async (_name, make) => {
    for (const size of sizes) {
      const plain = make(size);
      const stored = await encodeBytes(plain, sealing, associatedData);
      expect(plain.equals(await decodeBytes(stored, sealing, associatedData, { maxBytes: size })), `${size}`).toBe(
        true,
      );
      const streamed = await encodeStream(plain, sealing);
      const { plain: back, error } = await decodeStream(streamed, sealing);
      expect(error).toBeUndefined();
      expect(plain.equals(back), `${size} streamed`).toBe(true);
    }
  });

  test('are the same whatever the pieces they come in', async () => {
    const plain = sample(20_000);
    for (const piece of [1, 7, 4096, 20_000]) {
      const { plain: back, error } = await decodeStream(await encodeStream(plain, sealing, piece), sealing, piece);
      expect(error).toBeUndefined();
      expect(plain.equals(back)).toBe(true);
    }
  });

  test('are never more than the encoder says while it works, and exactly so at its end', async () => {
    const encoder = createEncoder({ sealing, associatedData });
    const said: number[] = [];
    let stored = 0;
    encoder.on('data', (bytes: Buffer) => {
      stored += bytes.length;
    });
    const plain = noise(9 * mib);
    for (let at = 0; at < plain.length; at += 300_000) {
      await new Promise<void>((done, fail) =>
        encoder.write(plain.subarray(at, at + 300_000), (error) => (error ? fail(error) : done())),
      );
      said.push(encoder.storedBytes);
    }
    encoder.end();
    await pipeline(encoder, async (rest) => {
      for await (const _bytes of rest);
    }).catch(() => {});
    expect(stored).toBe(encoder.storedBytes);
    expect(said.at(-1)).toBeGreaterThanOrEqual(stored);
    expect(said).toEqual([...said].sort((a, b) => a - b));
  });
});

test('a stream of many frames comes back as it was, whose stored forms end anywhere in an encrypted segment', async () => {
  const plain = Buffer.concat([noise(5 * mib), sample(9 * mib), noise(300_000), sample(5 * mib), noise(6 * mib)]);
  const { plain: back, error } = await decodeStream(await encodeStream(plain, sealed), sealed);
  expect(error).toBeUndefined();
  expect(plain.equals(back)).toBe(true);
});

test('what is only compressed is read by the zstd program', async () => {
  for (const size of [0, 100, 9 * mib]) {
    const plain = sample(size);
    const stored = await encodeBytes(plain, open, associatedData);
    expect(plain.equals(execFileSync('zstd', ['-dcq'], { input: stored, maxBuffer: 32 * mib }))).toBe(true);
  }
});

test.each(ciphers)('the same bytes are encrypted differently each time: %s', async (cipher) => {
  const encode = () => encodeBytes(sample(1000), sealings[cipher], associatedData);
  const [first, second] = await Promise.all([encode(), encode()]);
  expect(Buffer.compare(first, second)).not.toBe(0);
  expect(Buffer.compare(first.subarray(-16), second.subarray(-16))).not.toBe(0);
});

test('how long an object becomes is known before it is sealed, to the byte, at every border of every format', () => {
  const borders = [16, 65_536, 131_072, mib - 56, 2 * mib - 72];
  const lengths = [0, 1, ...borders.flatMap((border) => [border - 1, border, border + 1])];
  for (const sealing of Object.values(sealings))
    for (const length of lengths) {
      const stored = through(sealerFor(sealing, associatedData), noise(length));
      expect(stored.length, `${length} bytes, ${sealing.cipher}`).toBe(sealedBytes(sealing, length));
      const opened = through(openerFor(sealing, associatedData), stored, 10_007);
      expect(noise(length).equals(opened), `${length} bytes, ${sealing.cipher}`).toBe(true);
    }
});

test('an object says by its first bytes how it may have been sealed', async () => {
  const cbc = ['aes-256-cbc', 'aes-192-cbc', 'aes-128-cbc'];
  for (const sealing of Object.values(sealings)) {
    const stored = await encodeBytes(sample(1000), sealing, associatedData);
    const expected = cbc.includes(sealing.cipher) ? cbc : [sealing.cipher];
    expect(recognizedCiphers(stored.subarray(0, 64))).toEqual(expected);
  }
  for (const other of ['', 'age-encryption.org/v', 'Salted_', '{"formatVersion":1}', '(\xb5/'])
    expect(recognizedCiphers(Buffer.from(other, 'latin1')), other).toEqual(
      other.startsWith('(') ? ['aes-256-gcm'] : [],
    );
});

test('an object larger than it may be is refused before it is made', async () => {
  const stored = await encodeBytes(Buffer.alloc(100 * mib), open, associatedData);
  expect(stored.length).toBeLessThan(100_000);
  const decoding = decodeBytes(stored, open, associatedData, { maxBytes: 16 * mib });
  await expect(decoding).rejects.toMatchObject({ code: 'object-damaged' });
});

test('an aborted stream ends with the reason', async () => {
  const abort = new AbortController();
  const encoder = createEncoder({ sealing: sealed, associatedData, signal: abort.signal });
  const running = pipeline(new Readable({ read() {} }), encoder, async (bytes) => {
    for await (const _ of bytes);
  });
  abort.abort();
  await expect(running).rejects.toMatchObject({ code: 'cancelled' });
  const late = createEncoder({ sealing: sealed, associatedData, signal: abort.signal });
  late.on('error', () => {});
  expect(late.destroyed).toBe(true);
});

test('an object says in its name how it is stored', () => {
  for (const { cipher } of Object.values(sealings))
    expect(suffixOf(sealings[cipher])).toBe(cipher === 'none' ? '.zst' : '.zst.enc');
});

test('a host that can only write is told so before it reads', async () => {
  const writing: Sealing = { cipher: 'chacha20-poly1305', recipient };
  const stored = await encodeBytes(sample(100), writing, associatedData);
  const refused = { code: 'key-write-only', facts: { recipient } };
  await expect(decodeBytes(stored, writing, associatedData, { maxBytes: 100 })).rejects.toMatchObject(refused);
  expect(() => createDecoder({ sealing: writing, associatedData })).toThrow(expect.objectContaining(refused));
  expect(
    sample(100).equals(await decodeBytes(stored, sealings[writing.cipher], associatedData, { maxBytes: 100 })),
  ).toBe(true);
});
