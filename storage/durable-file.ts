import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder, writeAll } from './file/durable.ts';

export { syncFolder } from './file/durable.ts';

/**
 * Writes a small file of this host's state, 0600, in place of what was there: durable when it answers, and never seen half
 * written. Whoever writes the same path at the same time writes the same file, or is kept away by a lock.
 */
export async function writeDurably(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  try {
    await using file = await open(temporary, 'w', 0o600);
    await writeAll(file, Buffer.from(text));
    await file.sync();
  } catch (error) {
    await rm(temporary, { force: true }); // a full disk must not stay fuller by it
    throw error;
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}
