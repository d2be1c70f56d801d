import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type CbcCipher, CbcOpener, CbcSealer } from '../../codec/cbc.ts';
import { locateProgram } from '../../setup/locate.ts';
import { tempDir } from '../support/temp.ts';
import { noise, passphrase, through } from './support.ts';

/** Around the borders of blocks, of which the last is padding. */
const sizes = [0, 1, 15, 16, 17, 32, 65_536, 1_000_003];
const damaged = expect.objectContaining({ code: 'object-damaged' });
const ciphers: CbcCipher[] = ['aes-256-cbc', 'aes-192-cbc', 'aes-128-cbc'];

describe.each(ciphers)('openssl enc -%s -pbkdf2', (cipher) => {
  test('reads what we encrypt', () => {
    for (const size of sizes) {
      const stored = through(new CbcSealer(cipher, passphrase), noise(size), 1000);
      expect(noise(size).equals(openssl(['-d'], stored)), `${size} bytes`).toBe(true);
    }
  });

  test('writes what we read', () => {
    for (const size of sizes) {
      const stored = openssl(['-salt'], noise(size));
      expect(noise(size).equals(through(new CbcOpener(cipher, passphrase), stored, 1001)), `${size} bytes`).toBe(true);
    }
  });

  test('and we refuse what is not whole blocks, or does not end in padding', () => {
    const stored = through(new CbcSealer(cipher, passphrase), noise(64));
    const refused = (bytes: Uint8Array, why: RegExp) => {
      expect(() => through(new CbcOpener(cipher, passphrase), bytes)).toThrow(why);
      expect(() => through(new CbcOpener(cipher, passphrase), bytes)).toThrow(damaged);
    };
    for (let at = 0; at < 16; at += 1) refused(stored.subarray(0, at), /within the header/);
    for (let less = 1; less < 16; less += 1) refused(stored.subarray(0, stored.length - less), /its end is not/);
    refused(stored.subarray(0, 16), /its end is not/);
    refused(stored.subarray(0, -16), /its end is not/);
    refused(Buffer.concat([stored, Buffer.from([0])]), /its end is not/);
    refused(noise(64), /does not begin/);
  });

  function openssl(args: string[], input: Uint8Array): Buffer {
    const file = join(tempDir('openssl'), 'passphrase');
    writeFileSync(file, `${passphrase}\n`, { mode: 0o600 });
    const all = ['enc', `-${cipher}`, '-pbkdf2', '-pass', `file:${file}`, ...args];
    return execFileSync(locateProgram('openssl') as string, all, { input, maxBuffer: 1 << 24 });
  }
});
