/*
 * CRC-64/ECMA-182 as OSS gives it in x-oss-hash-crc64ecma: reflected, complemented before and after (also known as
 * CRC-64/XZ), written as an unsigned decimal number. The register is two 32-bit halves, because BigInt arithmetic would
 * be slower than the network.
 */

const polynomialLow = 0xd7870f42 | 0;
const polynomialHigh = 0xc96c5795 | 0;
const slices = 8;

const low = new Int32Array(slices * 256);
const high = new Int32Array(slices * 256);
for (let byte = 0; byte < 256; byte += 1) {
  let l = byte;
  let h = 0;
  for (let bit = 0; bit < 8; bit += 1) {
    const odd = l & 1;
    l = (l >>> 1) | (h << 31);
    h >>>= 1;
    if (odd === 0) continue;
    l ^= polynomialLow;
    h ^= polynomialHigh;
  }
  low[byte] = l;
  high[byte] = h;
}
for (let at = 256; at < slices * 256; at += 1) {
  const l = low[at - 256] as number;
  const h = high[at - 256] as number;
  low[at] = ((l >>> 8) | (h << 24)) ^ (low[l & 255] as number);
  high[at] = (h >>> 8) ^ (high[l & 255] as number);
}

/** A running checksum: about 1.3 GB/s a core. */
export class Crc64 {
  #low = -1;
  #high = -1;

  update(bytes: Uint8Array): this {
    let l = this.#low;
    let h = this.#high;
    // A view of 32-bit words must begin at a multiple of four.
    const head = Math.min(-bytes.byteOffset & 3, bytes.length);
    const words = ((bytes.length - head) >>> 2) & ~1;
    const tail = head + words * 4;
    const single = (from: number, to: number) => {
      for (let at = from; at < to; at += 1) {
        const index = (l ^ (bytes[at] as number)) & 255;
        l = ((l >>> 8) | (h << 24)) ^ (low[index] as number);
        h = (h >>> 8) ^ (high[index] as number);
      }
    };
    single(0, head);
    if (words > 0) {
      const end = sliced(l, h, new Int32Array(bytes.buffer, bytes.byteOffset + head, words));
      l = end.low;
      h = end.high;
    }
    single(tail, bytes.length);
    this.#low = l;
    this.#high = h;
    return this;
  }

  /** Of all bytes so far, in decimal; more may follow. */
  get value(): string {
    return ((BigInt(~this.#high >>> 0) << 32n) | BigInt(~this.#low >>> 0)).toString();
  }
}

/** Eight bytes a turn: their table entries do not depend on each other. Little-endian machines only, as all of Node's are. */
function sliced(l: number, h: number, words: Int32Array): { low: number; high: number } {
  let lo = l;
  let hi = h;
  const L = low;
  const H = high;
  for (let at = 0; at < words.length; at += 2) {
    const a = lo ^ (words[at] as number);
    const b = hi ^ (words[at + 1] as number);
    const i7 = 0x700 + (a & 255);
    const i6 = 0x600 + ((a >>> 8) & 255);
    const i5 = 0x500 + ((a >>> 16) & 255);
    const i4 = 0x400 + (a >>> 24);
    const i3 = 0x300 + (b & 255);
    const i2 = 0x200 + ((b >>> 8) & 255);
    const i1 = 0x100 + ((b >>> 16) & 255);
    const i0 = b >>> 24;
    lo =
      (L[i7] as number) ^
      (L[i6] as number) ^
      (L[i5] as number) ^
      (L[i4] as number) ^
      (L[i3] as number) ^
      (L[i2] as number) ^
      (L[i1] as number) ^
      (L[i0] as number);
    hi =
      (H[i7] as number) ^
      (H[i6] as number) ^
      (H[i5] as number) ^
      (H[i4] as number) ^
      (H[i3] as number) ^
      (H[i2] as number) ^
      (H[i1] as number) ^
      (H[i0] as number);
  }
  return { low: lo, high: hi };
}

export function crc64(bytes: Uint8Array): string {
  return new Crc64().update(bytes).value;
}

/** The checksum of two pieces joined, from theirs: what the whole object of a multipart upload must have. */
export function joinedCrc64(first: string, second: string, secondBytes: number): string {
  return (product(BigInt(first), shift(secondBytes)) ^ BigInt(second)).toString();
}

const polynomial = 0xc96c5795d7870f42n;
const top = 1n << 63n;

/** a · b modulo the polynomial; the coefficient of x⁰ is the highest bit. */
function product(a: bigint, b: bigint): bigint {
  let sum = 0n;
  let factor = b;
  for (let bit = top; bit !== 0n; bit >>= 1n) {
    if ((a & bit) !== 0n) sum ^= factor;
    factor = (factor & 1n) === 0n ? factor >> 1n : (factor >> 1n) ^ polynomial;
  }
  return sum;
}

/** x to the power of 8 · bytes: what appending so many bytes multiplies a checksum with. */
function shift(bytes: number): bigint {
  // All parts of an upload but the last are of one size.
  if (bytes === lastShift.bytes) return lastShift.value;
  let value = top;
  let square = top >> 8n;
  for (let rest = bytes; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) value = product(value, square);
    square = product(square, square);
  }
  lastShift = { bytes, value };
  return value;
}

let lastShift = { bytes: 0, value: top };
