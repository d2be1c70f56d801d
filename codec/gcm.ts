import { hkdfSync, randomBytes } from 'node:crypto';
import { damaged } from './damaged.ts';
import {
  prefixBytes,
  type SegmentFormat,
  type SegmentKey,
  SegmentOpener,
  SegmentSealer,
  segmentedBytes,
} from './segments.ts';
import { Slices } from './slices.ts';

/*
 * Tink's published streaming format AES256_GCM_HKDF_1MB, so that any Tink reads what we write:
 *   header   1 byte its own length (40), 32 bytes salt, 7 bytes nonce prefix
 *   segments 1 MiB of ciphertext each, of that 16 bytes GCM tag; the header counts into the first, the last may be shorter
 *   key      HKDF-SHA-256(key, salt, info = associated data), 32 bytes
 * https://developers.google.com/tink/wire-format
 */

export const gcmHeaderBytes = 40;
const gcmKeyBytes = 32;
const saltBytes = 32;
const segmentBytes = 1 << 20;

const format: SegmentFormat = {
  algorithm: 'aes-256-gcm',
  segmentBytes,
  firstSegmentBytes: segmentBytes - gcmHeaderBytes,
};

/** What `plainBytes` become. */
export const gcmSealedBytes = (plainBytes: number): number => gcmHeaderBytes + segmentedBytes(format, plainBytes);

export class GcmSealer extends SegmentSealer {
  constructor(key: Uint8Array, associatedData: Uint8Array) {
    const salt = newSalt();
    const prefix = randomBytes(prefixBytes);
    const header = Buffer.concat([Buffer.of(gcmHeaderBytes), salt, prefix]);
    super(format, { key: deriveKey(key, salt, associatedData), prefix }, header);
  }
}

/** Yields only plain text whose segment was authenticated. @throws {PgproofError} `object-damaged` */
export class GcmOpener {
  readonly #key: Uint8Array;
  readonly #associatedData: Uint8Array;
  readonly #header = new Slices(gcmHeaderBytes);
  #body: SegmentOpener | null = null;

  constructor(key: Uint8Array, associatedData: Uint8Array) {
    this.#key = key;
    this.#associatedData = associatedData;
  }

  update(stored: Uint8Array): Uint8Array[] {
    if (this.#body !== null) return this.#body.update(stored);
    const rest = stored.subarray(this.#header.fill(stored));
    if (!this.#header.full) return [];
    this.#body = new SegmentOpener(format, this.#readHeader(Buffer.concat(this.#header.take())));
    return this.#body.update(rest);
  }

  final(): Uint8Array[] {
    if (this.#body === null) throw damaged('it ends within the header');
    return this.#body.final();
  }

  #readHeader(header: Buffer): SegmentKey {
    if (header[0] !== gcmHeaderBytes) throw damaged('it does not begin with the header of an encrypted object');
    const salt = header.subarray(1, 1 + saltBytes);
    return { key: deriveKey(this.#key, salt, this.#associatedData), prefix: header.subarray(1 + saltBytes) };
  }
}

/** zstd's magic number begins with a 40, too: no object of ours may be taken for one that is only compressed. */
function newSalt(): Buffer {
  for (;;) {
    const salt = randomBytes(saltBytes);
    if (salt.readUIntBE(0, 3) !== 0xb52ffd) return salt;
  }
}

function deriveKey(key: Uint8Array, salt: Uint8Array, info: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, salt, info, gcmKeyBytes));
}
