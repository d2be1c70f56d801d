import { createHash, createHmac } from 'node:crypto';
import type { KeyRing } from './keys.ts';

/**
 * What a WAL file is, by its content: 32 hex digits. With a key an HMAC over cluster, era, name and the plain bytes, so
 * that nobody without the key can make a fitting one, and a swap of two objects is noticed; without a key the plain
 * SHA-256. Encryption is randomised, this is not: it says "the same" of two uploads.
 */
export function tagOf(keys: KeyRing, cluster: string, era: string, name: string, plain: Uint8Array): string {
  if (keys.identityKey === null) return createHash('sha256').update(plain).digest('hex').slice(0, 32);
  const hmac = createHmac('sha256', keys.identityKey);
  // Names hold no zero byte, so the four pieces cannot be shifted against each other.
  hmac.update(`${cluster}\0${era}\0${name}\0`).update(plain);
  return hmac.digest('hex').slice(0, 32);
}
