import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** How the prefetcher and wal/restore-wal.sh meet: names in folders, which a shell script can read without error. */
export type FetchFolder = {
  root: string;
  /** Checked files, each under its own name; restore_command moves them away. */
  ready: string;
  /** Empty files: restore_command waits for these names. It makes and removes them; nobody else does. */
  wanted: string;
  /** Why a name cannot be had; restore_command answers 255 at once. */
  failed: string;
  /** Files that are not checked yet. */
  incoming: string;
};

function fetchFolderAt(root: string): FetchFolder {
  return {
    root,
    ready: join(root, 'ready'),
    wanted: join(root, 'wanted'),
    failed: join(root, 'failed'),
    incoming: join(root, 'incoming'),
  };
}

/**
 * Makes the folder anew: what an earlier recovery left is not believed.
 * @param names everything that can be asked for; restore_command answers 1 for any other name, and for no other reason.
 * @param limitSeconds how long restore_command waits for one file before it answers 255.
 */
export async function makeFetchFolder(
  root: string,
  names: readonly string[],
  limitSeconds: number,
): Promise<FetchFolder> {
  const folder = fetchFolderAt(root);
  await rm(root, { recursive: true, force: true });
  for (const path of [folder.ready, folder.wanted, folder.failed, folder.incoming]) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  }
  // The last line proves that the list was read whole (wal/restore-wal.sh).
  const inventory = [...names, 'end of inventory', ''].join('\n');
  await writeFile(join(root, 'inventory'), inventory, { mode: 0o600 });
  await writeFile(join(root, 'limit'), `${Math.ceil(limitSeconds)}\n`, { mode: 0o600 });
  await writeFile(join(root, 'prefetcher'), `${process.pid}\n`, { mode: 0o600 });
  return folder;
}

/** From now on restore_command answers 255, also one that waits. */
export async function closeFetchFolder(root: string): Promise<void> {
  await rm(join(root, 'prefetcher'), { force: true });
  await rm(root, { recursive: true, force: true, maxRetries: 5 });
}
