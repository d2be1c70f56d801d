import { ageMagic } from './age-header.ts';
import { saltedMagic } from './cbc.ts';
import { zstdMagic } from './frames.ts';
import { gcmHeaderBytes } from './gcm.ts';
import type { Cipher } from './sealing.ts';

/**
 * The ciphers that an object may be sealed with, by its first bytes: one of them, the three CBC ciphers together (their header
 * does not tell the length of the key), or none where it is nothing of ours. It says nothing about the key.
 */
export function recognizedCiphers(firstBytes: Uint8Array): readonly Cipher[] {
  const begins = (magic: Uint8Array) => Buffer.compare(firstBytes.subarray(0, magic.length), magic) === 0;
  // Before Tink's header, which begins with the same byte; no sealer of ours goes on as this does.
  if (begins(zstdMagic)) return ['none'];
  if (begins(ageMagic)) return ['chacha20-poly1305'];
  if (begins(saltedMagic)) return ['aes-256-cbc', 'aes-192-cbc', 'aes-128-cbc'];
  return firstBytes[0] === gcmHeaderBytes ? ['aes-256-gcm'] : [];
}
