/*
 * Bech32 (BIP 173), in which age writes its keys, without that paper's limit of 90 characters. A checksum notices any typing error
 * in up to four places.
 */

const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const checksumLength = 6;

/** @param prefix in lower case; so is the answer. */
export function encodeBech32(prefix: string, bytes: Uint8Array): string {
  const words = [...regroup(bytes, 8, 5)];
  const sum = polymod([...expand(prefix), ...words, ...new Array<number>(checksumLength).fill(0)]) ^ 1;
  for (let place = checksumLength - 1; place >= 0; place -= 1) words.push((sum >>> (5 * place)) & 31);
  return `${prefix}1${words.map((word) => alphabet[word]).join('')}`;
}

/** Undefined unless the text is wholly in one case, whole, and in the one form that these bytes have. */
export function decodeBech32(text: string): { prefix: string; bytes: Uint8Array } | undefined {
  const lower = text.toLowerCase();
  if (text !== lower && text !== text.toUpperCase()) return undefined;
  const separator = lower.lastIndexOf('1');
  const prefix = lower.slice(0, separator);
  const words = [...lower.slice(separator + 1)].map((letter) => alphabet.indexOf(letter));
  if (separator < 1 || words.length < checksumLength || words.includes(-1)) return undefined;
  if (polymod([...expand(prefix), ...words]) !== 1) return undefined;
  const bytes = new Uint8Array(regroup(words.slice(0, -checksumLength), 5, 8, false));
  return encodeBech32(prefix, bytes) === lower ? { prefix, bytes } : undefined;
}

function polymod(words: number[]): number {
  let sum = 1;
  for (const word of words) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ word;
    generator.forEach((value, bit) => {
      if (((top >>> bit) & 1) === 1) sum ^= value;
    });
  }
  return sum;
}

function expand(prefix: string): number[] {
  const codes = [...prefix].map((letter) => letter.charCodeAt(0));
  return [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
}

function* regroup(from: Iterable<number>, fromBits: number, toBits: number, pad = true): Generator<number> {
  let held = 0;
  let bits = 0;
  for (const value of from) {
    held = (held << fromBits) | value;
    for (bits += fromBits; bits >= toBits; bits -= toBits) yield (held >>> (bits - toBits)) & ((1 << toBits) - 1);
    held &= (1 << bits) - 1;
  }
  if (pad && bits > 0) yield (held << (toBits - bits)) & ((1 << toBits) - 1);
}
