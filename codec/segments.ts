import { type CipherGCMTypes, createCipheriv, createDecipheriv } from 'node:crypto';
import { damaged } from './damaged.ts';
import { Slices, splitTail } from './slices.ts';

/*
 * What Tink's streaming format and age have in common (the STREAM construction): the plain text in segments, each sealed by itself
 * with 16 bytes of tag, under a nonce of
 *   7 bytes prefix, segment number as 4 bytes big-endian, 1 for the last segment and 0 otherwise.
 * A segment that was moved, left out, repeated or cut away does not open.
 */

export const tagBytes = 16;
export const prefixBytes = 7;

/** Sizes are of stored bytes, tag included. Where a header counts into the first segment, that one is shorter. */
export type SegmentFormat = {
  algorithm: 'aes-256-gcm' | 'chacha20-poly1305';
  segmentBytes: number;
  firstSegmentBytes: number;
};

export type SegmentKey = { key: Uint8Array; prefix: Uint8Array };

/** What `plainBytes` become, without a header. */
export function segmentedBytes({ segmentBytes, firstSegmentBytes }: SegmentFormat, plainBytes: number): number {
  const behindFirst = Math.max(0, plainBytes - (firstSegmentBytes - tagBytes));
  return plainBytes + tagBytes * (1 + Math.ceil(behindFirst / (segmentBytes - tagBytes)));
}

export class SegmentSealer {
  readonly #format: SegmentFormat;
  readonly #nonces: Nonces;
  readonly #key: Uint8Array;
  readonly #slices: Slices;
  #header: Uint8Array[];

  /** @param header goes out in front of the first segment. */
  constructor(format: SegmentFormat, { key, prefix }: SegmentKey, header: Uint8Array) {
    this.#format = format;
    this.#nonces = new Nonces(prefix);
    this.#key = key;
    this.#slices = new Slices(format.firstSegmentBytes - tagBytes);
    this.#header = [header];
  }

  /** A full segment is kept until more follows: only the end of the input tells which one is the last. */
  update(plain: Uint8Array): Uint8Array[] {
    const sealed: Uint8Array[] = [];
    for (let rest = plain; rest.length > 0; ) {
      if (this.#slices.full) sealed.push(...this.#seal(false));
      rest = rest.subarray(this.#slices.fill(rest));
    }
    return sealed;
  }

  final(): Uint8Array[] {
    return this.#seal(true);
  }

  #seal(last: boolean): Uint8Array[] {
    const { algorithm, segmentBytes } = this.#format;
    const plain = this.#slices.take(segmentBytes - tagBytes);
    const options = { authTagLength: tagBytes };
    const cipher = createCipheriv(algorithm as CipherGCMTypes, this.#key, this.#nonces.next(last), options);
    const pieces = [...this.#header, ...plain.map((slice) => cipher.update(slice))];
    cipher.final();
    pieces.push(cipher.getAuthTag());
    this.#header = [];
    return pieces;
  }
}

/** Yields only plain text whose segment was authenticated. @throws {PgproofError} `object-damaged` */
export class SegmentOpener {
  readonly #format: SegmentFormat;
  readonly #nonces: Nonces;
  readonly #key: Uint8Array;
  readonly #slices: Slices;

  constructor(format: SegmentFormat, { key, prefix }: SegmentKey) {
    this.#format = format;
    this.#nonces = new Nonces(prefix);
    this.#key = key;
    this.#slices = new Slices(format.firstSegmentBytes);
  }

  update(stored: Uint8Array): Uint8Array[] {
    const plain: Uint8Array[] = [];
    for (let rest = stored; rest.length > 0; ) {
      if (this.#slices.full) plain.push(...this.#open(false));
      rest = rest.subarray(this.#slices.fill(rest));
    }
    return plain;
  }

  final(): Uint8Array[] {
    return this.#open(true);
  }

  #open(last: boolean): Uint8Array[] {
    const { algorithm, segmentBytes } = this.#format;
    const index = this.#nonces.index;
    const { filled } = this.#slices;
    if (filled < tagBytes) throw damaged(`it ends within encrypted segment ${index}`);
    if (filled === tagBytes && index > 0) throw damaged(`encrypted segment ${index}, the last, is empty`);
    const { body, tail } = splitTail(this.#slices.take(segmentBytes), tagBytes);
    const options = { authTagLength: tagBytes };
    const decipher = createDecipheriv(algorithm as CipherGCMTypes, this.#key, this.#nonces.next(last), options);
    decipher.setAuthTag(tail);
    const plain = body.map((slice) => decipher.update(slice));
    try {
      decipher.final();
    } catch (cause) {
      throw damaged(`encrypted segment ${index} is not authentic`, cause);
    }
    return plain;
  }
}

class Nonces {
  readonly #prefix: Uint8Array;
  index = 0;

  constructor(prefix: Uint8Array) {
    this.#prefix = prefix;
  }

  next(last: boolean): Uint8Array {
    const nonce = Buffer.alloc(prefixBytes + 5);
    nonce.set(this.#prefix);
    // Throws beyond 2^32 - 1 segments (256 TiB at the least), long before a nonce could come twice.
    nonce.writeUInt32BE(this.index, prefixBytes);
    nonce.writeUInt8(last ? 1 : 0, prefixBytes + 4);
    this.index += 1;
    return nonce;
  }
}
