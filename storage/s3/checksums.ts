import { createHash } from 'node:crypto';
import { crc32 } from '@node-rs/crc32';
import { PgproofError } from '../../core/errors.ts';
import type { Receipt } from '../bucket/bucket.ts';

/** CRC-32 as S3 writes it: base64 of its four bytes, most significant first. */
export function crcText(bytes: Uint8Array): string {
  return base64Of(crc32(bytes));
}

export function md5Base64(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('base64');
}

/** CRC-32 of all parts in a row, as S3 writes it; undefined where not every part has one. */
export function wholeCrc(receipts: readonly Receipt[]): string | undefined {
  let sum = 0;
  for (const { checksum, bytes } of receipts) {
    if (!checksum.startsWith('crc32:')) return undefined;
    sum = combine(sum, Buffer.from(checksum.slice(6), 'base64').readUInt32BE(), bytes);
  }
  return base64Of(sum);
}

/** What older stores answer: the checksum of the parts' checksums, and how many. */
export function compositeCrc(receipts: readonly Receipt[]): string {
  const sums = receipts.map(({ checksum }) => Buffer.from(checksum.slice(6), 'base64'));
  return `${crcText(Buffer.concat(sums))}-${receipts.length}`;
}

/** The ETag of an object of parts, where those of the parts are MD5; undefined where they are something else. */
export function md5OfMd5s(receipts: readonly Receipt[]): string | undefined {
  const sums = receipts.map(({ etag }) => md5Of(etag));
  if (sums.includes(undefined)) return undefined;
  const whole = createHash('md5').update(Buffer.from(sums.join(''), 'hex'));
  return `${whole.digest('hex')}-${receipts.length}`;
}

/** The MD5 that an ETag is, in hex; undefined for any other form. */
export function md5Of(etag: string | undefined): string | undefined {
  return /^"?([0-9a-fA-F]{32})"?$/.exec(etag ?? '')?.[1]?.toLowerCase();
}

export function damaged(key: string, what: string, sent: string, stored: string): PgproofError {
  return new PgproofError(
    'object-damaged',
    `the store took something other than what it was given for '${key}': its ${what} differs`,
    { facts: { key, checksum: what, sent, stored } },
  );
}

/** A whole object's CRC-32 of a store's answer; undefined where there is none, or one of parts. */
export function wholeCrcOf(answer: { ChecksumCRC32?: string | undefined; ChecksumType?: string | undefined }) {
  const { ChecksumCRC32: text, ChecksumType: type } = answer;
  return text === undefined || text.includes('-') || type === 'COMPOSITE' ? undefined : text;
}

const base64Of = (sum: number): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(sum >>> 0);
  return bytes.toString('base64');
};

/** Continues a CRC over chunks; `text` is what it came to. */
export class RunningCrc {
  #sum = 0;

  update(chunk: Uint8Array): void {
    this.#sum = crc32(chunk, this.#sum);
  }

  get text(): string {
    return base64Of(this.#sum);
  }
}

/**
 * CRC-32 of A ‖ B from those of A and B and the length of B: A's is carried over B's zero bytes by squaring the matrix of one
 * zero bit (Mark Adler's crc32_combine, zlib).
 */
function combine(first: number, second: number, secondBytes: number): number {
  if (secondBytes === 0) return first;
  let matrix = squared(squared(oneZeroBit)); // four zero bits
  let sum = first;
  for (let left = secondBytes; left > 0; left = Math.floor(left / 2)) {
    matrix = squared(matrix);
    if (left % 2 === 1) sum = times(matrix, sum);
  }
  return (sum ^ second) >>> 0;
}

const oneZeroBit = [0xedb88320, ...Array.from({ length: 31 }, (_, bit) => 2 ** bit)];

function times(matrix: readonly number[], vector: number): number {
  let sum = 0;
  for (let bit = 0; bit < 32; bit += 1) if ((vector >>> bit) & 1) sum ^= matrix[bit] as number;
  return sum >>> 0;
}

function squared(matrix: readonly number[]): number[] {
  return matrix.map((row) => times(matrix, row));
}
