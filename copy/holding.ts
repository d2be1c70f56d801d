import { Readable } from 'node:stream';
import { PgproofError } from '../core/errors.ts';
import type { ObjectKey, ObjectStore } from '../storage/store.ts';

/** A store that holds one object and takes none: what was read once is looked into as if it were read from its place. */
export function holding(key: ObjectKey, bytes: Buffer): ObjectStore {
  const refuse = (): never => {
    throw new PgproofError('internal', `nothing is written while '${key}' is looked into`);
  };
  return {
    create: async () => refuse(),
    remove: async () => refuse(),
    read: async (asked, { range } = {}) => {
      if (asked !== key)
        throw new PgproofError('object-missing', `there is no object '${asked}'`, { facts: { key: asked } });
      const { offset, length } = range ?? { offset: 0, length: bytes.length };
      return Readable.from([bytes.subarray(offset, offset + length)], { objectMode: false });
    },
    list: async function* (prefix) {
      if (key.startsWith(prefix)) yield { key, bytes: bytes.length };
    },
  };
}
