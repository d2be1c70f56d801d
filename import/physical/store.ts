import { Readable } from 'node:stream';
import { encodeBytes } from '../../codec/encode.ts';
import { PgproofError } from '../../core/errors.ts';
import { associatedData, historyKey, walKey } from '../../repository/layout.ts';
import type { ObjectKey, ObjectStore, StoredObject, StoreOptions } from '../../storage/store.ts';
import type { Opening } from '../peel.ts';
import type { OldArchive } from './archive.ts';
import { readPlain } from './segments.ts';

/** zstd's fastest: what reads it decodes it at once. */
const level = 1;

/**
 * The old folder's WAL as an object store in the repository's own layout, to be read only. So planning, the survey of WAL and
 * recovery are the same as for a repository, and the tag of each segment is checked again whenever it is read.
 */
export class OldWalStore implements ObjectStore {
  readonly #objects = new Map<ObjectKey, { path: string; bytes: number; isWal: boolean }>();
  readonly #opening: Opening;

  constructor(cluster: string, era: string, archive: OldArchive, opening: Opening) {
    this.#opening = opening;
    for (const { name, path, bytes, tag } of archive.segments.values())
      this.#objects.set(walKey(cluster, era, name, tag, '.zst'), { path, bytes, isWal: true });
    for (const [timeline, { path, bytes, tag }] of archive.histories)
      this.#objects.set(historyKey(cluster, era, timeline, tag), { path, bytes, isWal: false });
  }

  async read(key: ObjectKey, { signal = new AbortController().signal }: StoreOptions = {}): Promise<Readable> {
    const object = this.#objects.get(key);
    if (object === undefined) throw new PgproofError('object-missing', `there is no '${key}'`, { facts: { key } });
    const plain = await readPlain(object.path, this.#opening, signal);
    const stored = object.isWal
      ? await encodeBytes(plain, { cipher: 'none' }, associatedData(key), { level, signal })
      : plain;
    return Readable.from([Buffer.from(stored.buffer, stored.byteOffset, stored.length)], { objectMode: false });
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    for (const [key, { bytes }] of [...this.#objects].sort(([a], [b]) => (a < b ? -1 : 1)))
      if (key.startsWith(prefix)) yield { key, bytes };
  }

  create(): Promise<never> {
    return Promise.reject(readOnly());
  }

  remove(): Promise<never> {
    return Promise.reject(readOnly());
  }
}

const readOnly = (): PgproofError => new PgproofError('store-denied', 'the folder of an old script is only read');
