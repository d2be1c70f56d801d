import type { ObjectKey, StoredObject } from '../storage/store.ts';
import type { Copying } from './copying.ts';

/** An object of the source. `there`: its size at the target, undefined where the target has no such object. */
export type Compared = { key: ObjectKey; bytes: number; there: number | undefined };

/**
 * What the source has under the prefix, each beside what the target has of it. Two listings side by side, both ascending: an
 * archive of any length is compared in the memory of two pages.
 */
export async function* compare({ from, to, run, tally }: Copying, prefix: string): AsyncGenerator<Compared> {
  const { signal } = run;
  const there = to.store.list(prefix, { signal })[Symbol.asyncIterator]();
  try {
    let candidate = await next(there);
    for await (const { key, bytes } of from.store.list(prefix, { signal })) {
      tally.looked();
      while (candidate !== undefined && candidate.key < key) candidate = await next(there);
      yield { key, bytes, there: candidate?.key === key ? candidate.bytes : undefined };
    }
  } finally {
    await there.return?.();
  }
}

/** A run of objects that lie in one folder. */
export type Folder = { folder: string; objects: Compared[] };

/** Consecutive objects by their folder: what is sent to one is confirmed by one small listing. */
export async function* byFolder(objects: AsyncIterable<Compared>): AsyncGenerator<Folder> {
  let current: Folder | undefined;
  for await (const object of objects) {
    const folder = object.key.slice(0, object.key.lastIndexOf('/') + 1);
    if (current !== undefined && current.folder !== folder) {
      yield current;
      current = undefined;
    }
    current ??= { folder, objects: [] };
    current.objects.push(object);
  }
  if (current !== undefined) yield current;
}

async function next(objects: AsyncIterator<StoredObject>): Promise<StoredObject | undefined> {
  const { done, value } = await objects.next();
  return done === true ? undefined : value;
}
