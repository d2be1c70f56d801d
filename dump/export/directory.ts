import { createHash } from 'node:crypto';
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '../../core/abort.ts';
import type { Run } from '../../core/run.ts';
import { syncFolder } from '../../storage/durable-file.ts';
import { isErrno } from '../../storage/file/errors.ts';
import { incoming, tempName } from '../../storage/file/temps.ts';
import { DirectoryUnpacker } from '../restore/directory.ts';
import { type Reading, thereAlready } from './write.ts';

/**
 * Unpacks a dump of the directory format into a new folder, as pg_dump made it: whole and durable when this returns.
 * @returns the bytes of its files, and a line for each as sha256sum takes it.
 */
export async function writeDirectory(
  folder: string,
  name: string,
  reading: Reading,
  { signal }: Run,
): Promise<{ bytes: number; checksums: string }> {
  const target = join(folder, name);
  await refuseExisting(target);
  await mkdir(join(folder, incoming), { recursive: true, mode: 0o700 });
  const temporary = join(folder, incoming, tempName());
  let unpacker = await DirectoryUnpacker.into(temporary);
  try {
    const again = async (): Promise<void> => {
      await unpacker.close();
      await rm(temporary, { recursive: true });
      unpacker = await DirectoryUnpacker.into(temporary);
    };
    await reading(async (chunk) => {
      throwIfAborted(signal);
      await unpacker.take(chunk);
    }, again);
    unpacker.finish();
    const files = await settled(temporary);
    await refuseExisting(target);
    await rename(temporary, target).catch((error: unknown) => {
      throw isErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR') ? thereAlready(target) : error;
    });
    await syncFolder(folder);
    return {
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      checksums: files.map((file) => `${file.sha256}  ${name}/${file.name}\n`).join(''),
    };
  } finally {
    await unpacker.close();
    await rm(temporary, { recursive: true, force: true });
  }
}

async function refuseExisting(path: string): Promise<void> {
  if ((await lstat(path).catch(() => null)) !== null) throw thereAlready(path);
}

/** Its files, each durable. */
async function settled(folder: string): Promise<{ name: string; bytes: number; sha256: string }[]> {
  const files = [];
  for (const name of (await readdir(folder)).toSorted()) {
    await using file = await open(join(folder, name), 'r');
    await file.sync();
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of file.createReadStream({ autoClose: false })) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
    files.push({ name, bytes, sha256: hash.digest('hex') });
  }
  await syncFolder(folder);
  return files;
}
