import { hasCode, type PgproofError } from '../../core/errors.ts';
import type { Receipt } from '../bucket/bucket.ts';
import { compositeCrc, crcText, damaged, md5Base64, md5Of, md5OfMd5s, wholeCrc } from './checksums.ts';

/** What an upload's answer tells of the bytes. */
type Answer = {
  ETag?: string | undefined;
  ChecksumCRC32?: string | undefined;
  ChecksumType?: string | undefined;
  ServerSideEncryption?: string | undefined;
};

/** What goes along with bytes, so that the store can refuse them when they were damaged on their way. */
export type Digest = {
  input: { ChecksumCRC32?: string; ContentMD5?: string };
  headers: Record<string, string>;
  /** For a Receipt. */
  checksum: string;
};

/** Of a request with a condition, and one with a CRC: what the store is offered. */
type Offers = { condition: boolean; crc: boolean };

const unsigned = { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' };

/**
 * What this store can: CRC-32 (else MD5), and conditional writes. It is not asked and not configured: stores are many, and they
 * change. An answer without the CRC that was sent is from a store that ignores it, and a refusal that names it from one that
 * refuses it; until the first answer the whole body is signed instead.
 */
export class Abilities {
  #offers: Offers = { condition: true, crc: true };
  #crc: boolean | undefined;

  get condition(): boolean {
    return this.#offers.condition;
  }

  /** For CreateMultipartUpload. */
  get upload(): { ChecksumAlgorithm?: 'CRC32'; ChecksumType?: 'FULL_OBJECT' } {
    return this.#usesCrc ? { ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' } : {};
  }

  digest(bytes: Uint8Array): Digest {
    if (!this.#usesCrc) {
      const md5 = md5Base64(bytes);
      return { input: { ContentMD5: md5 }, headers: unsigned, checksum: `md5:${md5}` };
    }
    const crc = crcText(bytes);
    return { input: { ChecksumCRC32: crc }, headers: this.#crc ? unsigned : {}, checksum: `crc32:${crc}` };
  }

  /** The answer's checksum is compared with what was sent. @throws {PgproofError} `object-damaged` when they differ. */
  compare(key: string, bytes: Uint8Array, { input }: Digest, answer: Answer): void {
    const { ChecksumCRC32: stored, ETag } = answer;
    if (input.ChecksumCRC32 !== undefined) this.learn(stored !== undefined);
    if (input.ChecksumCRC32 !== undefined && stored !== undefined) {
      if (stored !== input.ChecksumCRC32) throw damaged(key, 'CRC-32', input.ChecksumCRC32, stored);
      return;
    }
    const etag = isMd5(answer) ? md5Of(ETag) : undefined;
    if (etag === undefined) return; // the store has compared it with what was sent, or with the signature
    const md5 = Buffer.from(input.ContentMD5 ?? md5Base64(bytes), 'base64').toString('hex');
    if (etag !== md5) throw damaged(key, 'MD5', md5, etag);
  }

  /** The first answer decides: parts of one upload must not differ. */
  learn(answersCrc: boolean): void {
    this.#crc ??= answersCrc;
  }

  /** Sends with all that is offered; without what the store says that it cannot do, once it has worked so. */
  async offering<T>(send: () => Promise<T>): Promise<T> {
    const before = this.#offers;
    for (;;) {
      try {
        return await send();
      } catch (error) {
        const refused = refusedOffer(error, this.#offers);
        if (refused === undefined) {
          this.#offers = before; // it was something else
          throw error;
        }
        this.#offers = { ...this.#offers, [refused]: false };
      }
    }
  }

  get #usesCrc(): boolean {
    return this.#offers.crc && this.#crc !== false;
  }
}

/** @throws {PgproofError} `object-damaged` when what the store says of the whole is not what its parts come to. */
export function compareWhole(key: string, receipts: readonly Receipt[], answer: Answer): void {
  const { ChecksumCRC32: stored, ETag } = answer;
  const crc = wholeCrc(receipts);
  if (crc !== undefined && stored !== undefined) {
    const sent = stored.includes('-') || answer.ChecksumType === 'COMPOSITE' ? compositeCrc(receipts) : crc;
    const same = stored === sent || `${stored}-${receipts.length}` === sent;
    if (!same) throw damaged(key, 'CRC-32', sent, stored);
    return;
  }
  const md5 = isMd5(answer) ? md5OfMd5s(receipts) : undefined;
  const etag = /^"?([0-9a-fA-F]{32}-\d+)"?$/.exec(ETag ?? '')?.[1]?.toLowerCase();
  if (md5 !== undefined && etag !== undefined && md5 !== etag) throw damaged(key, 'MD5 of MD5s', md5, etag);
}

/** With keys of a KMS an ETag is no MD5, although it looks like one. */
const isMd5 = ({ ServerSideEncryption }: Answer): boolean => !ServerSideEncryption?.startsWith('aws:kms');

function refusedOffer(error: unknown, offers: Offers): keyof Offers | undefined {
  if (!hasCode(error, 'store-misconfigured')) return undefined;
  const { facts, message } = error as PgproofError;
  if (facts.status !== 501 && facts.status !== 400) return undefined;
  if (offers.crc && /checksum|x-amz-sdk/i.test(message)) return 'crc';
  if (offers.condition && (facts.status === 501 || /if-none-match|condition/i.test(message))) return 'condition';
  return offers.crc && facts.status === 501 ? 'crc' : undefined;
}
