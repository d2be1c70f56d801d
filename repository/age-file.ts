import { armor, Decrypter, Encrypter } from 'age-encryption';
import { PgproofError } from '../core/errors.ts';

/** What a wrapper opens with. */
export type Opener = { kind: 'passphrase'; passphrase: string } | { kind: 'recipient'; identities: readonly string[] };

/** What a wrapper is made for. */
export type WrapFor = { kind: 'passphrase'; passphrase: string } | { kind: 'recipient'; recipient: string };

/**
 * An armored age file, as `age -d` opens it. A passphrase goes through scrypt with age's own default, 2^18: a second of one core
 * and 256 MiB for each guess.
 * @throws {PgproofError} `usage` for a recipient that age does not know.
 */
export async function wrapText(text: string, wrapFor: WrapFor): Promise<string> {
  const encrypter = new Encrypter();
  if (wrapFor.kind === 'passphrase') encrypter.setPassphrase(wrapFor.passphrase);
  else addRecipient(encrypter, wrapFor.recipient);
  return armor.encode(await encrypter.encrypt(text));
}

/**
 * @returns undefined when it was not made for this passphrase or these identities.
 * @throws {PgproofError} `object-damaged` for what is no whole age file; `key-file-invalid` for what is no identity, not quoted.
 */
export async function unwrapText(armored: string, name: string, opener: Opener): Promise<string | undefined> {
  const decrypter = new Decrypter();
  if (opener.kind === 'passphrase') decrypter.addPassphrase(opener.passphrase);
  else for (const identity of opener.identities) addIdentity(decrypter, identity);
  try {
    return await decrypter.decrypt(armor.decode(armored), 'text');
  } catch (cause) {
    // The package has one kind of error for everything, and this is what it says of a wrong passphrase or identity.
    if (/no identity matched/.test((cause as Error).message)) return undefined;
    throw new PgproofError('object-damaged', `the wrapped key '${name}' is no whole age file`, {
      facts: { key: name },
      hint: 'Take another wrapper of this key, or a copy of the repository.',
    });
  }
}

function addRecipient(encrypter: Encrypter, recipient: string): void {
  try {
    encrypter.addRecipient(recipient);
  } catch {
    throw new PgproofError('usage', `'${recipient}' is not a recipient of age`, {
      hint: 'It begins with age1, and is copied whole: a checksum is part of it. age-keygen prints it.',
    });
  }
}

function addIdentity(decrypter: Decrypter, identity: string): void {
  try {
    decrypter.addIdentity(identity);
  } catch {
    throw new PgproofError('key-file-invalid', 'the identity file holds a line that is no identity of age', {
      hint: 'Its lines begin with AGE-SECRET-KEY-1, or with # for a comment; age-keygen makes such a file.',
    });
  }
}
