import { PgproofError } from '../core/errors.ts';
import type { ObjectKey, ObjectStore, StoreOptions } from './store.ts';

/**
 * A whole object in memory, or a range of it.
 * @param options.maxBytes an object that is longer is `object-damaged`: memory stays bounded whatever the store holds.
 */
export async function readBytes(
  store: ObjectStore,
  key: ObjectKey,
  options: StoreOptions & { maxBytes: number; range?: { offset: number; length: number } },
): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of await store.read(key, options)) {
    bytes += piece.length;
    if (bytes > options.maxBytes) {
      const facts = { key, maxBytes: options.maxBytes };
      throw new PgproofError('object-damaged', `'${key}' has more than ${options.maxBytes} bytes`, { facts });
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces, bytes);
}
