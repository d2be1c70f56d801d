import { resolve } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import { keyFileText, openKeyFile, parseKeyFile } from './key-file.ts';
import { newKeySet, writeOnlySets } from './key-set.ts';
import { assertReads, type KeyCipher } from './keys.ts';
import { createPrivateFile, replacePrivateFile, withFileLock } from './private-file-write.ts';

/**
 * Adds a key set in front: with a new data key and a new signing key, and the identity key that the file has. The sets that
 * were there stay, because they open what they sealed. Running workers take the new one for what they write next.
 * @param cipher otherwise the one of the set that was the newest.
 * @throws {PgproofError} what `readKeyFile` throws; `key-write-only` for a copy that cannot read; `key-file-busy`; `file-unwritable`, `no-space`.
 */
export async function rotateKeyFile(
  path: string,
  cipher?: KeyCipher,
): Promise<{ keyId: string; cipher: KeyCipher; before: string; path: string }> {
  const absolute = resolve(path);
  return withFileLock(absolute, async () => {
    const { keys, document } = await openKeyFile(absolute);
    assertReads({ keys, walKeys: keys });
    const [newest] = document.keySets;
    const set = newKeySet(cipher ?? newest.cipher, newest.identityKey);
    const text = `${JSON.stringify({ ...document, keySets: [set, ...document.keySets] }, null, 2)}\n`;
    parseKeyFile(text, absolute); // what could not be read back never takes the place of what can
    await replacePrivateFile(absolute, text);
    return { keyId: set.id, cipher: set.cipher, before: newest.id, path: absolute };
  });
}

/**
 * Makes a copy of a key file for a host that shall write and never read: it seals for the recipient, signs and tags, and has
 * no secret that opens anything.
 * @throws {PgproofError} `key-wrong` when the newest set's cipher has one key for writing and reading; `key-file-exists`; what
 * `readKeyFile` throws.
 */
export async function writeRecipientFile(path: string, into: string): Promise<{ keyId: string; path: string }> {
  const { document } = await openKeyFile(path);
  const sets = writeOnlySets(document.keySets);
  const [newest] = document.keySets;
  if (sets === undefined) {
    throw new PgproofError(
      'key-wrong',
      `the newest key set of '${path}' is for ${newest.cipher}: who can write with it can read`,
      {
        facts: { path, cipher: newest.cipher },
        hint: 'Only chacha20-poly1305 has a key that writes and does not read: pgproof key rotate --cipher chacha20-poly1305',
      },
    );
  }
  const absolute = resolve(into);
  await createPrivateFile(absolute, keyFileText(sets));
  return { keyId: newest.id, path: absolute };
}
