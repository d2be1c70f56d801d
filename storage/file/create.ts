import { createHash } from 'node:crypto';
import { link, open, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { throwIfAborted } from '../../core/abort.ts';
import { PgproofError } from '../../core/errors.ts';
import { objectExists } from '../errors.ts';
import { type DurableFolders, makeFolders, syncFolder, writeAll } from './durable.ts';
import { isErrno } from './errors.ts';
import { incoming, tempName } from './temps.ts';

export type Created = { bytes: number; sha256: string };

/**
 * Temp file, fsync, link without replacing, fsync of the folder: when it answers, the object survives a power cut; until the
 * link nobody sees any of it.
 */
export async function createFile(
  root: string,
  key: string,
  body: Readable | Uint8Array,
  durable: DurableFolders,
  signal: AbortSignal | undefined,
): Promise<Created> {
  const path = join(root, key);
  const temp = join(root, incoming, tempName());
  await makeFolders(root, join(root, incoming), durable);
  await makeFolders(root, dirname(path), durable);
  try {
    const created = await writeTemp(temp, body, signal);
    throwIfAborted(signal); // whoever was told that it failed must not see it appear
    await publish(temp, path, key);
    return created;
  } finally {
    await unlink(temp).catch((error: unknown) => {
      if (!isErrno(error, 'ENOENT')) throw error;
    });
  }
}

async function writeTemp(temp: string, body: Readable | Uint8Array, signal: AbortSignal | undefined): Promise<Created> {
  await using file = await open(temp, 'wx', 0o600);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of body instanceof Uint8Array ? [body] : body) {
    throwIfAborted(signal);
    hash.update(piece);
    await writeAll(file, piece);
    bytes += piece.length;
  }
  await file.sync();
  if ((await file.stat()).size !== bytes)
    throw new PgproofError('store-unreachable', 'a file has another size than was written');
  return { bytes, sha256: hash.digest('hex') };
}

/** The folder is synced also when the object is there already: whoever made it may have died before its own sync. */
async function publish(temp: string, path: string, key: string): Promise<void> {
  try {
    await link(temp, path);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    await syncFolder(dirname(path));
    throw objectExists(key);
  }
  await syncFolder(dirname(path));
}
