import { createCipheriv, createDecipheriv, type Decipheriv, pbkdf2Sync, randomBytes } from 'node:crypto';
import { damaged } from './damaged.ts';
import { Slices } from './slices.ts';

/*
 * What `openssl enc -aes-256-cbc -pbkdf2 -salt` (and -192-, -128-) writes and reads:
 *   header  'Salted__', 8 bytes salt
 *   key, IV PBKDF2-HMAC-SHA-256(passphrase, salt, 10,000 iterations)
 *   body    CBC with PKCS #7 padding
 * NOT AUTHENTICATED: a changed block may decode to something else. What is wrong with padding or length is refused; everything else
 * is found by the SHA-256 in the signed record, or by the tag.
 */

export type CbcCipher = 'aes-256-cbc' | 'aes-192-cbc' | 'aes-128-cbc';

export const saltedMagic = Buffer.from('Salted__');
const saltBytes = 8;
const headerBytes = saltedMagic.length + saltBytes;
const blockBytes = 16;
/** openssl's default, and so what a person at a prompt gets. Our passphrases are random keys: iterations add nothing to them. */
const iterations = 10_000;

/** What `plainBytes` become: there is always padding. */
export const cbcSealedBytes = (plainBytes: number): number =>
  headerBytes + blockBytes * (Math.floor(plainBytes / blockBytes) + 1);

export class CbcSealer {
  readonly #cipher;
  #header: Uint8Array[];

  constructor(cipher: CbcCipher, passphrase: string) {
    const salt = randomBytes(saltBytes);
    const { key, iv } = derive(cipher, passphrase, salt);
    this.#cipher = createCipheriv(cipher, key, iv);
    this.#header = [Buffer.concat([saltedMagic, salt])];
  }

  update(plain: Uint8Array): Uint8Array[] {
    return [...this.#takeHeader(), this.#cipher.update(plain)];
  }

  final(): Uint8Array[] {
    return [...this.#takeHeader(), this.#cipher.final()];
  }

  #takeHeader(): Uint8Array[] {
    const header = this.#header;
    this.#header = [];
    return header;
  }
}

/** @throws {PgproofError} `object-damaged` for what cannot be a ciphertext; it cannot tell a changed one. */
export class CbcOpener {
  readonly #cipher: CbcCipher;
  readonly #passphrase: string;
  readonly #header = new Slices(headerBytes);
  #body: Decipheriv | null = null;

  constructor(cipher: CbcCipher, passphrase: string) {
    this.#cipher = cipher;
    this.#passphrase = passphrase;
  }

  update(stored: Uint8Array): Uint8Array[] {
    if (this.#body !== null) return [this.#body.update(stored)];
    const rest = stored.subarray(this.#header.fill(stored));
    if (!this.#header.full) return [];
    this.#body = this.#readHeader(Buffer.concat(this.#header.take()));
    return [this.#body.update(rest)];
  }

  final(): Uint8Array[] {
    if (this.#body === null) throw damaged('it ends within the header');
    try {
      return [this.#body.final()];
    } catch (cause) {
      throw damaged('its end is not the end of an encrypted object', cause);
    }
  }

  #readHeader(header: Buffer): Decipheriv {
    if (!header.subarray(0, saltedMagic.length).equals(saltedMagic))
      throw damaged('it does not begin with the header of an encrypted object');
    const { key, iv } = derive(this.#cipher, this.#passphrase, header.subarray(saltedMagic.length));
    return createDecipheriv(this.#cipher, key, iv);
  }
}

function derive(cipher: CbcCipher, passphrase: string, salt: Uint8Array): { key: Buffer; iv: Buffer } {
  const keyBytes = Number(cipher.slice(4, 7)) / 8;
  const derived = pbkdf2Sync(passphrase, salt, iterations, keyBytes + blockBytes, 'sha256');
  return { key: derived.subarray(0, keyBytes), iv: derived.subarray(keyBytes) };
}
