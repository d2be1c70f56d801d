import { hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { ageHeaderBytes, ageHeaderEnd, readAgeHeader, writeAgeHeader } from './age-header.ts';
import { identityKey, recipientKey } from './age-keys.ts';
import { damaged } from './damaged.ts';
import { prefixBytes, type SegmentFormat, SegmentOpener, SegmentSealer, segmentedBytes, tagBytes } from './segments.ts';

/*
 * age v1 with an X25519 recipient, so that any age reads what we write:
 *   header   text (age-header.ts), then 16 bytes nonce
 *   payload  chunks of 64 KiB plain, ChaCha20-Poly1305; its key is HKDF-SHA-256(file key, nonce, 'payload')
 * Who knows the recipient can write such an object: that it is ours is said by the signed record, or the tag. https://c2sp.org/age
 */

const nonceBytes = 16;
const chunkBytes = (64 << 10) + tagBytes;

const format: SegmentFormat = {
  algorithm: 'chacha20-poly1305',
  segmentBytes: chunkBytes,
  firstSegmentBytes: chunkBytes,
};

/** What `plainBytes` become. */
export const ageSealedBytes = (plainBytes: number): number =>
  ageHeaderBytes + nonceBytes + segmentedBytes(format, plainBytes);

export class AgeSealer extends SegmentSealer {
  constructor(recipient: string) {
    const { header, fileKey } = writeAgeHeader(recipientKey(recipient));
    const nonce = randomBytes(nonceBytes);
    super(format, payloadKey(fileKey, nonce), Buffer.concat([header, nonce]));
  }
}

/** Yields only plain text whose chunk was authenticated. @throws {PgproofError} `object-damaged` */
export class AgeOpener {
  readonly #identity: KeyObject;
  #held: Buffer = Buffer.alloc(0);
  #body: SegmentOpener | null = null;

  constructor(identity: string) {
    this.#identity = identityKey(identity);
  }

  update(stored: Uint8Array): Uint8Array[] {
    if (this.#body !== null) return this.#body.update(stored);
    this.#held = Buffer.concat([this.#held, stored]);
    const end = ageHeaderEnd(this.#held);
    if (end === undefined || this.#held.length < end + nonceBytes) return [];
    const fileKey = readAgeHeader(this.#held.subarray(0, end), this.#identity);
    const nonce = this.#held.subarray(end, end + nonceBytes);
    this.#body = new SegmentOpener(format, payloadKey(fileKey, nonce));
    return this.#body.update(this.#held.subarray(end + nonceBytes));
  }

  final(): Uint8Array[] {
    if (this.#body === null) throw damaged('it ends within the header');
    return this.#body.final();
  }
}

function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): { key: Uint8Array; prefix: Uint8Array } {
  // age counts chunks in 11 bytes: the upper seven are zero.
  const key = new Uint8Array(hkdfSync('sha256', fileKey, nonce, 'payload', 32));
  return { key, prefix: Buffer.alloc(prefixBytes) };
}
