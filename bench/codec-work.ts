import { createHash, randomBytes } from 'node:crypto';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { generateIdentity } from '../codec/age-keys.ts';
import { createDecoder } from '../codec/decode.ts';
import { createEncoder } from '../codec/encode.ts';
import { type Cipher, openerFor, type Sealing, sealerFor } from '../codec/sealing.ts';

/** By the clock, and by the processors of this process: on a busy machine only the second one tells. */
export type Figure = { seconds: number; cpuSeconds: number; peakMegabytes: number };
export type Work = keyof typeof works;

const megabyte = 1e6;
/** Of base backups. */
const level = 1;
/** What a file or a socket gives at once. */
const pieceBytes = 64 << 10;
const associatedData = new Uint8Array(20);

/** @param megabytes of plain text, shared by the streams. */
export const works = {
  /** In pieces as large as 4 MiB of tables become. */
  async seal(cipher: Cipher, _streams: number, megabytes: number): Promise<Figure> {
    const piece = randomBytes(1_400_000);
    const sealer = sealerFor(sealingBy(cipher), associatedData);
    return timed(async () => {
      for (let done = 0; done < megabytes * megabyte; done += piece.length) await pause(sealer.update(piece));
      sealer.final();
    });
  },

  async open(cipher: Cipher, _streams: number, megabytes: number): Promise<Figure> {
    const sealing = sealingBy(cipher);
    const sealer = sealerFor(sealing, associatedData);
    const count = Math.ceil(megabytes / 64);
    const stored = Buffer.concat([...sealer.update(randomBytes(64 * megabyte)), ...sealer.final()]);
    return timed(async () => {
      for (let turn = 0; turn < count; turn += 1) {
        const opener = openerFor(sealing, associatedData);
        for (const piece of pieces(stored)) await pause(opener.update(piece));
        opener.final();
      }
    });
  },

  async encode(cipher: Cipher, streams: number, megabytes: number): Promise<Figure> {
    const plain = tables();
    const turns = Math.ceil((megabytes * megabyte) / plain.length / streams);
    const sealing = sealingBy(cipher);
    return timed(() =>
      together(streams, async () => {
        const encoder = createEncoder({ sealing, associatedData, level });
        await pipeline(Readable.from(repeated(plain, turns)), encoder, new Hashed());
      }),
    );
  },

  async decode(cipher: Cipher, streams: number, megabytes: number): Promise<Figure> {
    const plain = tables();
    const sealing = sealingBy(cipher);
    const turns = Math.ceil((megabytes * megabyte) / plain.length / streams);
    const kept: Buffer[] = [];
    await pipeline(Readable.from(pieces(plain)), createEncoder({ sealing, associatedData, level }), async (stored) => {
      for await (const piece of stored) kept.push(Buffer.from(piece));
    });
    const stored = Buffer.concat(kept);
    return timed(() =>
      together(streams, async () => {
        for (let turn = 0; turn < turns; turn += 1) {
          const hash = createHash('sha256');
          const hashed = function* () {
            for (const piece of pieces(stored)) {
              hash.update(piece);
              yield piece;
            }
          };
          const thrownAway = new Writable({ write: (_bytes, _encoding, done) => done() });
          await pipeline(Readable.from(hashed()), createDecoder({ sealing, associatedData }), thrownAway);
          hash.digest();
        }
      }),
    );
  },
};

/** What a store does with every byte at least. */
class Hashed extends Writable {
  readonly #hash = createHash('sha256');

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.#hash.update(bytes);
    done();
  }
}

function sealingBy(cipher: Cipher): Sealing {
  if (cipher === 'none') return { cipher };
  if (cipher === 'aes-256-gcm') return { cipher, key: randomBytes(32) };
  if (cipher === 'chacha20-poly1305') return { cipher, ...generateIdentity() };
  return { cipher, passphrase: randomBytes(32).toString('base64url') };
}

async function timed(work: () => Promise<void>): Promise<Figure> {
  const began = performance.now();
  const before = process.cpuUsage();
  await work();
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { seconds, cpuSeconds: (user + system) / 1e6, peakMegabytes: process.resourceUsage().maxRSS / 1000 };
}

async function together(streams: number, work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: streams }, work));
}

/** A process that never waits frees no buffers: as in life, others get their turn after some megabytes. */
let sinceRest = 0;
async function pause(made: Uint8Array[]): Promise<void> {
  sinceRest += made.reduce((sum, { length }) => sum + length, 0);
  if (sinceRest < 4 * megabyte) return;
  sinceRest = 0;
  await new Promise((resolve) => setImmediate(resolve));
}

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

function* repeated(bytes: Buffer, turns: number): Generator<Buffer> {
  for (let turn = 0; turn < turns; turn += 1) yield* pieces(bytes);
}

/** 16 MiB of rows of which a third is left when they are compressed: numbers, words, digests, filler. */
function tables(): Buffer {
  const bytes = Buffer.alloc(16 << 20);
  const digests = randomBytes(6 << 20).toString('hex');
  for (let number = 0, at = 0, from = 0; at < bytes.length; number += 1) {
    const digest = digests.slice(from, number % 2 === 0 ? from + 32 : from + 64);
    from += digest.length;
    at += bytes.write(
      `${number}\t${number % 9973}\t${digest}\torder of customer ${number % 97}${' '.repeat(40)}\n`,
      at,
    );
  }
  return bytes;
}
