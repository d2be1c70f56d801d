import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Folders whose own entries, up to the root, this process has made durable. */
export type DurableFolders = Set<string>;

export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

/**
 * Makes the folder and all above it below `root`, durably. What somebody else made and perhaps did not sync is synced,
 * too, once in a process. Nothing ever removes a folder, so that once is enough.
 */
export async function makeFolders(root: string, folder: string, durable: DurableFolders): Promise<void> {
  if (durable.has(folder)) return;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (let path = folder; path !== root; path = dirname(path)) await syncFolder(dirname(path));
  durable.add(folder);
}

/** Makes a folder and what is missing above it, durably. What was there is not touched: it may not even be readable. */
export async function makeRootFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** Writes all of it: a short write is no error of the file system, so it goes on behind it. */
export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}
