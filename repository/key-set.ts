import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import * as z from 'zod';
import { generateIdentity, isIdentity, isRecipient, recipientOf } from '../codec/age-keys.ts';
import { ciphers, type Sealing } from '../codec/sealing.ts';
import { compactTime } from '../core/ids.ts';
import type { KeyCipher, KeySet } from './keys.ts';

const keyIdPattern = /^key-[0-9TZ]+-[0-9a-f]{8}$/;

const bytes32 = z.string().regex(/^[A-Za-z0-9+/]{43}=$/);

/** One key set as a key file has it. Which of the optional fields are there follows from its cipher and from who holds it. */
const keySetDocument = z.looseObject({
  id: z.string().regex(keyIdPattern),
  cipher: z.enum(ciphers),
  /** AES: 32 bytes, base64. The passphrase of the CBC ciphers is the same in base64url, so that a shell can pass it on. */
  dataKey: bytes32.optional(),
  /** age1…; whoever has it can write. */
  recipient: z.string().refine(isRecipient).optional(),
  /** AGE-SECRET-KEY-1…; whoever has it can read. */
  identity: z.string().refine(isIdentity).optional(),
  identityKey: bytes32,
  /** Ed25519, PKCS #8, DER. */
  signingKey: z.base64().optional(),
  /** Ed25519, SPKI, DER; in place of `signingKey`, in older sets of a write-only copy. */
  verifyKey: z.base64().optional(),
  createdAt: z.iso.datetime(),
});
export type KeySetDocument = z.infer<typeof keySetDocument>;

export const keyFileDocument = z.looseObject({
  formatVersion: z.literal(1),
  /** Newest first. */
  keySets: z.tuple([keySetDocument], keySetDocument),
});
export type KeyFileDocument = z.infer<typeof keyFileDocument>;

/** @param identityKey of the sets that it comes to stand beside, base64; a new one otherwise. */
export function newKeySet(cipher: KeyCipher, identityKey?: string): KeySetDocument {
  const now = new Date();
  return {
    id: `key-${compactTime(now)}-${randomBytes(4).toString('hex')}`,
    cipher,
    ...(cipher === 'chacha20-poly1305' ? generateIdentity() : { dataKey: randomBytes(32).toString('base64') }),
    identityKey: identityKey ?? randomBytes(32).toString('base64'),
    signingKey: generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    createdAt: now.toISOString(),
  };
}

/** The set, ready for use; or the name of the field that is not what it should be. */
export function keySetOf(document: KeySetDocument): KeySet | keyof KeySetDocument {
  const { id, cipher, createdAt, identityKey } = document;
  const whole = { id, cipher, createdAt, identityKey: new Uint8Array(Buffer.from(identityKey, 'base64')) };
  if (document.signingKey === undefined) {
    const verifyKey = ed25519(document.verifyKey, readPublic);
    return verifyKey === undefined ? 'verifyKey' : { ...whole, sealing: null, signingKey: null, verifyKey };
  }
  const signingKey = ed25519(document.signingKey, readPrivate);
  if (signingKey === undefined) return 'signingKey';
  const sealing = sealingIn(document);
  return typeof sealing === 'string'
    ? sealing
    : { ...whole, sealing, signingKey, verifyKey: createPublicKey(signingKey) };
}

/**
 * The same sets for a host that shall write and never read: the newest without its identity, the older ones only as far as
 * their signatures can be checked.
 * @returns undefined when the newest set's cipher has one key for both.
 */
export function writeOnlySets([newest, ...older]: readonly KeySetDocument[]): KeySetDocument[] | undefined {
  if (newest?.cipher !== 'chacha20-poly1305') return undefined;
  const { identity: _, ...writing } = newest;
  return [writing, ...older.map(verifyOnly)];
}

function verifyOnly({ id, cipher, identityKey, createdAt, ...set }: KeySetDocument): KeySetDocument {
  const verifyKey =
    set.verifyKey ??
    createPublicKey(readPrivate(Buffer.from(set.signingKey as string, 'base64')))
      .export({ type: 'spki', format: 'der' })
      .toString('base64');
  return { id, cipher, identityKey, verifyKey, createdAt };
}

function sealingIn({ cipher, dataKey, recipient, identity }: KeySetDocument): Sealing | keyof KeySetDocument {
  if (cipher === 'chacha20-poly1305') {
    if (recipient === undefined || dataKey !== undefined) return 'recipient';
    if (identity === undefined) return { cipher, recipient };
    return recipientOf(identity) === recipient ? { cipher, recipient, identity } : 'identity';
  }
  if (dataKey === undefined || recipient !== undefined || identity !== undefined) return 'dataKey';
  const key = Buffer.from(dataKey, 'base64');
  return cipher === 'aes-256-gcm'
    ? { cipher, key: new Uint8Array(key) }
    : { cipher, passphrase: key.toString('base64url') };
}

const readPrivate = (der: Buffer): KeyObject => createPrivateKey({ key: der, type: 'pkcs8', format: 'der' });
const readPublic = (der: Buffer): KeyObject => createPublicKey({ key: der, type: 'spki', format: 'der' });

function ed25519(base64: string | undefined, read: (der: Buffer) => KeyObject): KeyObject | undefined {
  if (base64 === undefined) return undefined;
  try {
    const key = read(Buffer.from(base64, 'base64'));
    return key.asymmetricKeyType === 'ed25519' ? key : undefined;
  } catch {
    return undefined; // the same answer as for a key of another kind; the cause might quote it
  }
}
