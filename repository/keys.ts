import type { KeyObject } from 'node:crypto';
import type { Cipher, Sealing } from '../codec/sealing.ts';
import { PgproofError } from '../core/errors.ts';

export type KeyCipher = Exclude<Cipher, 'none'>;

/** What protects a cluster: random, never derived. Objects are sealed with it, WAL is tagged with its identity key, records are signed. */
export type KeySet = {
  id: string;
  cipher: KeyCipher;
  createdAt: string;
  /** How objects are sealed with it; null in a write-only copy, where an older set only tells what it signed. */
  sealing: Sealing | null;
  /** 32 bytes; makes the tags of WAL. The same in every set of a file. */
  identityKey: Uint8Array;
  /** Ed25519; null where `sealing` is. */
  signingKey: KeyObject | null;
  verifyKey: KeyObject;
};

/** A set that seals and signs what is new. */
export type CurrentKeySet = KeySet & { sealing: Sealing; signingKey: KeyObject };

/** The key sets of one key file. The newest seals and signs; the others still open what they sealed. */
export type KeyRing = {
  current: CurrentKeySet | null;
  /** Newest first. */
  all: readonly KeySet[];
  find(keyId: string): KeySet | undefined;
  /** The same for all sets: it says what a WAL segment is, and rotation must not change that. */
  identityKey: Uint8Array | null;
  /** The file they were read from, as it was then; null for a ring that was never in one. */
  file: KeyFileState | null;
};

/** A key file is only ever replaced as a whole, so what stat says of it tells one state from another. */
export type KeyFileState = { path: string; state: string };

/** What protects a cluster: two key rings where WAL has a key of its own, otherwise one. */
export type ClusterKeys = { keys: KeyRing; walKeys: KeyRing };

/** @param sets newest first; the first one must seal and sign. */
export function keyRing(sets: readonly KeySet[], file: KeyFileState | null = null): KeyRing {
  const [first] = sets;
  // Taken for "no key", a set that cannot seal would let everything be written in the clear.
  if (first !== undefined && !seals(first)) {
    throw new PgproofError('key-file-invalid', `the key set '${first.id}' neither seals nor signs, and stands first`, {
      facts: { keyId: first.id },
    });
  }
  const find = (keyId: string) => sets.find(({ id }) => id === keyId);
  return { current: first ?? null, all: sets, find, identityKey: first?.identityKey ?? null, file };
}

const seals = (set: KeySet): set is CurrentKeySet => set.sealing !== null && set.signingKey !== null;

/** Nothing is encrypted, and nothing is authenticated. */
export const noKeys: KeyRing = keyRing([]);

/** How new objects are sealed. */
export function sealingFor(keys: KeyRing): Sealing {
  return keys.current?.sealing ?? { cipher: 'none' };
}

/**
 * How objects of a backup were sealed, to open them.
 * @throws {PgproofError} `key-missing` or `key-write-only`, naming the key, before anything is downloaded.
 */
export function sealingOf({ keyId }: { keyId: string | null }, keys: KeyRing): Sealing {
  if (keyId === null) return { cipher: 'none' };
  const set = keys.find(keyId);
  if (set === undefined) throw missingKey(keyId, keys);
  return openingWith(set);
}

/** @throws {PgproofError} `key-write-only` */
export function openingWith(set: KeySet): Sealing {
  if (set.sealing === null || !opens(set)) throw writeOnlyKey(set);
  return set.sealing;
}

/** Whether this host can read what the set sealed. */
export function opens({ sealing }: KeySet): boolean {
  return sealing !== null && (sealing.cipher !== 'chacha20-poly1305' || sealing.identity !== undefined);
}

/**
 * For whatever needs to read backups or WAL: says that this host cannot, before it does anything else.
 * @throws {PgproofError} `key-write-only`
 */
export function assertReads({ keys, walKeys }: ClusterKeys): void {
  for (const { current } of [keys, walKeys]) if (current !== null && !opens(current)) throw writeOnlyKey(current);
}

export function missingKey(keyId: string, keys: KeyRing): PgproofError {
  const have = keys.current === null ? 'no key is configured' : `the configured key file has ${keys.current.id}`;
  return new PgproofError('key-missing', `this needs the key '${keyId}', and ${have}`, {
    facts: { keyId, configured: keys.current?.id ?? null },
    hint: 'Configure the key file that holds this key: keys.<name>.file, and clusters.<name>.key. A wrapped one comes back with: pgproof key unwrap.',
  });
}

function writeOnlyKey({ id }: KeySet): PgproofError {
  return new PgproofError('key-write-only', `this host can only write: it cannot read what the key '${id}' sealed`, {
    facts: { keyId: id },
    hint: 'Do this on a host that has the whole key file. Backups, WAL, list and check work here.',
  });
}
