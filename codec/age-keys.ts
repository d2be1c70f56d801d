import { createPrivateKey, createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { PgproofError } from '../core/errors.ts';
import { decodeBech32, encodeBech32 } from './bech32.ts';

/*
 * age's keys: an identity (AGE-SECRET-KEY-1…) is the private half of an X25519 key, its recipient (age1…) the public half.
 */

const identityPrefix = 'age-secret-key-';
const recipientPrefix = 'age';
/** What stands in front of the 32 bytes in the DER that Node reads. Source: RFC 8410. */
const privateDer = Buffer.from('302e020100300506032b656e04220420', 'hex');
const publicDer = Buffer.from('302a300506032b656e032100', 'hex');

/** A new identity, and the recipient that belongs to it. */
export function generateIdentity(): { identity: string; recipient: string } {
  const identity = encodeBech32(identityPrefix, randomBytes(32)).toUpperCase();
  return { identity, recipient: recipientOf(identity) };
}

/** @throws {PgproofError} `key-file-invalid` */
export function recipientOf(identity: string): string {
  return encodeBech32(recipientPrefix, rawPublicKey(createPublicKey(identityKey(identity))));
}

export const isIdentity = (text: string): boolean => bytesOf(text, identityPrefix) !== undefined;
export const isRecipient = (text: string): boolean => bytesOf(text, recipientPrefix) !== undefined;

/** @throws {PgproofError} `key-file-invalid`, which quotes nothing of it. */
export function identityKey(identity: string): KeyObject {
  const bytes = bytesOf(identity, identityPrefix);
  if (bytes === undefined) throw invalid('identity', 'AGE-SECRET-KEY-1');
  return createPrivateKey({ key: Buffer.concat([privateDer, bytes]), format: 'der', type: 'pkcs8' });
}

/** @throws {PgproofError} `key-file-invalid` */
export function recipientKey(recipient: string): KeyObject {
  const bytes = bytesOf(recipient, recipientPrefix);
  if (bytes === undefined) throw invalid('recipient', 'age1');
  return publicKeyOf(bytes);
}

/** @param bytes 32 of them. */
export function publicKeyOf(bytes: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([publicDer, bytes]), format: 'der', type: 'spki' });
}

export function rawPublicKey(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(publicDer.length);
}

/** age writes identities in capitals and recipients in small letters, and reads nothing else. */
function bytesOf(text: string, prefix: string): Uint8Array | undefined {
  const decoded = decodeBech32(text);
  const cased = prefix === identityPrefix ? text.toUpperCase() : text.toLowerCase();
  return decoded?.prefix === prefix && decoded.bytes.length === 32 && text === cased ? decoded.bytes : undefined;
}

function invalid(what: string, begin: string): PgproofError {
  return new PgproofError('key-file-invalid', `this is not an age ${what} of the X25519 kind`, {
    hint: `It begins with ${begin}, and is copied whole: a checksum is part of it.`,
  });
}
