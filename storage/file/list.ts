import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '../../core/abort.ts';
import { PgproofError } from '../../core/errors.ts';
import type { StoredObject } from '../store.ts';
import { isErrno } from './errors.ts';

/** Walks only folders that the prefix allows. A file that goes away meanwhile is not listed. */
export async function* listFiles(root: string, prefix: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
  yield* walk(root, prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix, signal);
}

/** How many files are looked at together: their sizes are most of a listing's time. */
const lookedAtOnce = 64;

async function* walk(root: string, folder: string, prefix: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
  const names = await sortedNames(join(root, folder));
  const keys = names.map((name) => folder + name).filter((key) => key.startsWith(prefix) || prefix.startsWith(key));
  for (let at = 0; at < keys.length; at += lookedAtOnce) {
    throwIfAborted(signal);
    const batch = keys.slice(at, at + lookedAtOnce);
    const sizes = await Promise.all(batch.map((key) => (key.endsWith('/') ? undefined : sizeOf(join(root, key)))));
    for (const [index, key] of batch.entries()) {
      const bytes = sizes[index];
      if (key.endsWith('/')) yield* walk(root, key, prefix, signal);
      else if (bytes !== undefined && key.startsWith(prefix)) yield { key, bytes };
    }
  }
}

/** A folder counts as its name with a slash, as it stands in keys: so `a-b` comes before `a/b`. */
async function sortedNames(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    const visible = entries.filter((entry) => !entry.name.startsWith('.'));
    const strange = visible.find((entry) => !entry.isDirectory() && !entry.isFile());
    if (strange !== undefined) throw notAFile(join(folder, strange.name));
    return visible.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort(byCodeUnit);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/** A link would be followed by reads and not by listings: what was moved behind it would look deleted. */
function notAFile(path: string): PgproofError {
  return new PgproofError('store-denied', `'${path}' is neither a file nor a folder`, {
    facts: { path },
    hint: 'A repository holds plain files and folders only. To move a part of it, move the whole, or mount the other disk there.',
  });
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await lstat(path)).size;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
