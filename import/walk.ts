import type { Stats } from 'node:fs';
import { lstat, readdir, realpath } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { throwIfAborted } from '../core/abort.ts';
import { PgproofError } from '../core/errors.ts';

/** An ordinary file, or the folder of a directory dump. */
export type Seen = {
  path: string;
  /** Its path within the folder that was asked for. */
  place: string;
  name: string;
  isFolder: boolean;
  stat: Stats;
};

/** What is there and was not looked at, and why. */
export type Strange = { place: string; why: string };

/** Deeper than any script went. */
const deepest = 6;
/** Of old physical backups, which import/physical reads, and what an old restore unpacked. */
const physical = /^(?:base_\d{8}_\d{6}|wal|restore_staging)$/;

/**
 * All files below a folder, by place. It follows no symlink, and so never leaves the folder.
 * @throws {PgproofError} `file-refused` when it is no folder.
 */
export async function walk(
  dir: string,
  signal: AbortSignal,
): Promise<{ root: string; files: Seen[]; strange: Strange[] }> {
  const root = await folderAt(dir);
  const files: Seen[] = [];
  const strange: Strange[] = [];
  const into = async (folder: string, depth: number): Promise<void> => {
    throwIfAborted(signal);
    for (const raw of (await readdir(folder, { encoding: 'buffer' })).sort(Buffer.compare)) {
      const name = raw.toString('utf8');
      const path = join(folder, name);
      const place = relative(root, path);
      if (!Buffer.from(name).equals(raw)) {
        strange.push({ place, why: 'its name is not UTF-8: give it another one to have it looked at' });
        continue;
      }
      const stat = await lstat(path);
      if (stat.isFile()) files.push({ path, place, name, isFolder: false, stat });
      else if (!stat.isDirectory())
        strange.push({ place, why: stat.isSymbolicLink() ? 'a symlink, not followed' : 'no ordinary file' });
      else if (await isDirectoryDump(path)) files.push({ path, place, name, isFolder: true, stat });
      else if (physical.test(name)) continue;
      else if (depth === deepest) strange.push({ place, why: `a folder more than ${deepest} deep, not looked into` });
      else await into(path, depth + 1);
    }
  };
  await into(root, 1);
  return { root, files, strange };
}

async function folderAt(dir: string): Promise<string> {
  const root = await realpath(dir).catch((cause: NodeJS.ErrnoException) => {
    throw refused(dir, `cannot be read (${cause.code})`, cause);
  });
  if ((await lstat(root)).isDirectory()) return root;
  throw refused(dir, 'is no folder');
}

async function isDirectoryDump(path: string): Promise<boolean> {
  return lstat(join(path, 'toc.dat')).then(
    (stat) => stat.isFile(),
    () => false,
  );
}

function refused(dir: string, why: string, cause?: unknown): PgproofError {
  return new PgproofError('file-refused', `'${dir}' ${why}`, {
    facts: { path: dir },
    hint: 'Give the folder that the old scripts wrote to, readable by the user that runs pgproof.',
    cause,
  });
}
