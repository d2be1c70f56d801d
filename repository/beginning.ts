import { zstdMagic } from '../codec/frames.ts';
import { openerFor, type Sealing } from '../codec/sealing.ts';
import { hasCode } from '../core/errors.ts';
import { readBytes } from '../storage/bytes.ts';
import type { ObjectKey, StoreOptions } from '../storage/store.ts';
import { associatedData } from './layout.ts';
import type { Repository } from './repository.ts';

/** The first bytes of an object: enough to tell whether a key opens it. */
export type Beginning = { key: ObjectKey; first: Buffer; whole: boolean };

/** More than Tink's first segment of 1 MiB: it opens only once something follows it, or the object ends. */
const beginBytes = (1 << 20) + 1;

export async function readBeginning(
  { store }: Repository,
  key: ObjectKey,
  bytes: number,
  options: StoreOptions = {},
): Promise<Beginning> {
  const length = Math.min(bytes, beginBytes);
  const range = { offset: 0, length };
  const first = length === 0 ? Buffer.alloc(0) : await readBytes(store, key, { ...options, range, maxBytes: length });
  return { key, first, whole: length === bytes };
}

/**
 * Whether the object begins as one that was sealed with this. Of the CBC ciphers only what is inside tells: any key makes
 * something of the bytes.
 * @throws {PgproofError} `key-write-only`
 */
export function opensWith({ key, first, whole }: Beginning, sealing: Sealing): boolean {
  try {
    const opener = openerFor(sealing, associatedData(key));
    const plain = opener.update(first);
    if (whole) plain.push(...opener.final());
    return Buffer.concat(plain).subarray(0, zstdMagic.length).equals(zstdMagic);
  } catch (error) {
    if (hasCode(error, 'object-damaged')) return false;
    throw error;
  }
}
