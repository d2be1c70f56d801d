import { unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { PgproofError } from '../../core/errors.ts';
import { assertKey, assertPrefix } from '../keys.ts';
import type { ObjectKey, ObjectStore, StoredObject, StoreOptions } from '../store.ts';
import { untilAborted } from '../until-aborted.ts';
import { type Created, createFile } from './create.ts';
import { type DurableFolders, makeRootFolder, syncFolder } from './durable.ts';
import { isErrno, storeError } from './errors.ts';
import { listFiles } from './list.ts';
import { readFile } from './read.ts';
import { Root } from './root.ts';
import { reapTemps } from './temps.ts';

/**
 * Objects as files below a folder, which must exist: `makeRoot` makes it. Objects are made with mode 0600. Creating and
 * listing fail with `store-unreachable` when the folder is suddenly another one, as after an unmount.
 */
export function openFileStore(root: string): ObjectStore {
  return new FileStore(resolve(root));
}

/** Makes the folder of a new store, and those above it, durably. */
export async function makeRoot(root: string): Promise<void> {
  const path = resolve(root);
  await makeRootFolder(path).catch((error: unknown) => {
    throw storeError('make', path, error);
  });
}

class FileStore implements ObjectStore {
  readonly #root: Root;
  readonly #durable: DurableFolders = new Set();
  #reaped: Promise<void> | null = null;

  constructor(root: string) {
    this.#root = new Root(root);
  }

  async create(key: ObjectKey, body: Readable | Uint8Array, { signal }: StoreOptions = {}): Promise<Created> {
    const letGo = new AbortController();
    const both = signal === undefined ? letGo.signal : AbortSignal.any([signal, letGo.signal]);
    // Without an error of its own: nobody may be listening for one yet.
    if (!(body instanceof Uint8Array)) both.addEventListener('abort', () => void body.destroy(), { once: true });
    try {
      assertKey(key);
      return await untilAborted(signal, () => this.#create(key, body, both));
    } catch (error) {
      // Somebody removed a folder: the next try makes it again.
      if (isErrno(error, 'ENOENT')) this.#durable.clear();
      throw storeError('write', this.#path(key), error);
    } finally {
      letGo.abort(); // what may still be running must not publish
    }
  }

  async #create(key: ObjectKey, body: Readable | Uint8Array, signal: AbortSignal): Promise<Created> {
    await this.#root.assertSame();
    await this.#reapOnce();
    const created = await createFile(this.#root.path, key, body, this.#durable, signal);
    await this.#root.assertSame();
    return created;
  }

  async read(
    key: ObjectKey,
    options: StoreOptions & { range?: { offset: number; length: number } } = {},
  ): Promise<Readable> {
    assertKey(key);
    const opening = Promise.withResolvers<Readable>();
    const open = async () => {
      await this.#root.assertSame();
      try {
        return await readFile(this.#root.path, key, options.range, options.signal);
      } catch (error) {
        // Unmounted in this very moment, a store is away; its objects are not missing.
        await this.#root.assertSame();
        throw error;
      }
    };
    try {
      return await untilAborted(options.signal, () => {
        opening.resolve(open());
        return opening.promise;
      });
    } catch (error) {
      // A file that opens after all, once nobody waits for it any more, is closed.
      opening.promise.then(
        (late) => late.destroy(),
        () => {},
      );
      throw error;
    }
  }

  async *list(prefix: string, { signal }: StoreOptions = {}): AsyncIterable<StoredObject> {
    assertPrefix(prefix);
    try {
      await untilAborted(signal, () => this.#root.assertSame());
      const objects = listFiles(this.#root.path, prefix, signal);
      for (;;) {
        const next = await untilAborted(signal, () => objects.next());
        if (next.done) break;
        yield next.value;
      }
      await this.#root.assertSame();
    } catch (error) {
      throw storeError('list', this.#path(prefix), error);
    }
  }

  async remove(key: ObjectKey, { signal }: StoreOptions = {}): Promise<void> {
    assertKey(key);
    await untilAborted(signal, async () => {
      await this.#root.assertSame();
      await removeFile(this.#path(key), key);
    });
  }

  async #reapOnce(): Promise<void> {
    this.#reaped ??= reapTemps(this.#root.path);
    await this.#reaped.catch((error: unknown) => {
      this.#reaped = null;
      throw error;
    });
  }

  #path(key: string): string {
    return join(this.#root.path, key);
  }
}

/** Durable, too: a tombstone that comes back after a power cut would hide a whole backup. */
async function removeFile(path: string, key: ObjectKey): Promise<void> {
  try {
    await unlink(path);
    await syncFolder(dirname(path));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return;
    if (!isErrno(error, 'EPERM')) throw storeError('remove', path, error);
    // Immutable or append-only files answer EPERM, and so does a folder that protects other users' files.
    throw new PgproofError('object-retained', `'${key}' is protected and was kept`, { facts: { key }, cause: error });
  }
}
