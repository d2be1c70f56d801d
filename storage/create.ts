import { createHash } from 'node:crypto';
import { hasCode, PgproofError } from '../core/errors.ts';
import type { ObjectKey, ObjectStore, StoreOptions } from './store.ts';

/**
 * Creates an object that may be there already: from an attempt whose answer was lost. The same content is success.
 * @returns existed: whether it was there before this call.
 * @throws {PgproofError} `object-exists` when it is there with other content.
 */
export async function createIdentical(
  store: ObjectStore,
  key: ObjectKey,
  bytes: Uint8Array,
  options: StoreOptions = {},
): Promise<{ bytes: number; sha256: string; existed: boolean }> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  try {
    const created = await store.create(key, bytes, options);
    if (created.sha256 === sha256 && created.bytes === bytes.length) return { ...created, existed: false };
    throw new PgproofError('object-damaged', `the store took something other than what it was given for '${key}'`, {
      facts: { key },
    });
  } catch (error) {
    if (!hasCode(error, 'object-exists')) throw error;
    await assertIdentical(store, key, bytes, options);
    return { bytes: bytes.length, sha256, existed: true };
  }
}

/** @throws {PgproofError} `object-exists` for an object with other content; `object-missing`. */
export async function assertIdentical(
  store: ObjectStore,
  key: ObjectKey,
  bytes: Uint8Array,
  options: StoreOptions = {},
): Promise<void> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if ((await storedSha256(store, key, options)) === sha256) return;
  throw new PgproofError('object-exists', `the object '${key}' exists already, with other content`, { facts: { key } });
}

async function storedSha256(store: ObjectStore, key: ObjectKey, options: StoreOptions): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of await store.read(key, options)) hash.update(piece);
  return hash.digest('hex');
}
