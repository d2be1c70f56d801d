import { PgproofError } from '../core/errors.ts';
import { AgeOpener, AgeSealer, ageSealedBytes } from './age.ts';
import { type CbcCipher, CbcOpener, CbcSealer, cbcSealedBytes } from './cbc.ts';
import { GcmOpener, GcmSealer, gcmSealedBytes } from './gcm.ts';

/** How stored bytes are protected. Keys, identities and passphrases never leave the process. */
export type Sealing =
  | { cipher: 'none' }
  /** `key`: 32 bytes. */
  | { cipher: 'aes-256-gcm'; key: Uint8Array }
  /** `recipient`: age1…; `identity`: AGE-SECRET-KEY-1…, absent on hosts that only write. */
  | { cipher: 'chacha20-poly1305'; recipient: string; identity?: string }
  | { cipher: CbcCipher; passphrase: string };

export type Cipher = Sealing['cipher'];

/** The default first, then the others, the ones that are not authenticated by nature last. */
export const ciphers = [
  'aes-256-gcm',
  'chacha20-poly1305',
  'aes-256-cbc',
  'aes-192-cbc',
  'aes-128-cbc',
] as const satisfies readonly Exclude<Cipher, 'none'>[];

/** What an object's name says of its codec: compressed, or compressed and encrypted. */
export const suffixOf = (sealing: Sealing): '.zst' | '.zst.enc' => (sealing.cipher === 'none' ? '.zst' : '.zst.enc');

/**
 * Turns bytes into bytes, piece by piece; `final` is called once, after the last `update`. What was given is kept without a copy
 * until it can be worked on, and is not to be changed before: when something comes out, nothing is kept of what was given earlier. What
 * comes out is the caller's alone, or what was given, as it is.
 */
export interface Pieces {
  update(bytes: Uint8Array): Uint8Array[];
  final(): Uint8Array[];
}

const unchanged: Pieces = { update: (bytes) => [bytes], final: () => [] };

/** @param associatedData what the ciphertext is bound to, where the cipher can: it opens only with the same. */
export function sealerFor(sealing: Sealing, associatedData: Uint8Array): Pieces {
  switch (sealing.cipher) {
    case 'none':
      return unchanged;
    case 'aes-256-gcm':
      return new GcmSealer(sealing.key, associatedData);
    case 'chacha20-poly1305':
      return new AgeSealer(sealing.recipient);
    default:
      return new CbcSealer(sealing.cipher, sealing.passphrase);
  }
}

/**
 * With an authenticated cipher it yields only bytes that were authenticated; everything else throws `object-damaged`.
 * @throws {PgproofError} `key-write-only` where there is no identity.
 */
export function openerFor(sealing: Sealing, associatedData: Uint8Array): Pieces {
  switch (sealing.cipher) {
    case 'none':
      return unchanged;
    case 'aes-256-gcm':
      return new GcmOpener(sealing.key, associatedData);
    case 'chacha20-poly1305':
      if (sealing.identity === undefined) throw writeOnly(sealing.recipient);
      return new AgeOpener(sealing.identity);
    default:
      return new CbcOpener(sealing.cipher, sealing.passphrase);
  }
}

/** Exactly how many bytes so many become. */
export function sealedBytes({ cipher }: Sealing, plainBytes: number): number {
  switch (cipher) {
    case 'none':
      return plainBytes;
    case 'aes-256-gcm':
      return gcmSealedBytes(plainBytes);
    case 'chacha20-poly1305':
      return ageSealedBytes(plainBytes);
    default:
      return cbcSealedBytes(plainBytes);
  }
}

function writeOnly(recipient: string): PgproofError {
  return new PgproofError('key-write-only', 'the key at hand can only write: it has no identity', {
    facts: { recipient },
    hint: 'Do this on a host whose key file has the identity (AGE-SECRET-KEY-1…) that belongs to this recipient.',
  });
}
