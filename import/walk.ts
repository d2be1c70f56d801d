import type { Stats } from 'node:fs';
import { lstat, readdir, realpath } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { throwIfAborted } from '../core/abort.ts';
import { PgproofError } from '../core/errors.ts';
import { printable } from '../core/format.ts';

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

/** All that was found below `root`. */
type Walked = { root: string; files: Seen[]; strange: Strange[] };

/**
 * All files below a folder, by place. It follows no symlink, and so never leaves the folder.
 * @throws {PgproofError} `file-refused` when it is no folder, or cannot be read.
 */
export async function walk(dir: string, signal: AbortSignal): Promise<Walked> {
  const walked: Walked = { root: await folderAt(dir), files: [], strange: [] };
  await readdir(walked.root).catch((cause: NodeJS.ErrnoException) => {
    throw refused(dir, `cannot be read (${cause.code})`, cause);
  });
  await into(walked, walked.root, 1, signal);
  return walked;
}

async function into(walked: Walked, folder: string, depth: number, signal: AbortSignal): Promise<void> {
  throwIfAborted(signal);
  for (const raw of await namesIn(walked, folder)) {
    const name = raw.toString('utf8');
    const path = join(folder, name);
    const place = relative(walked.root, path);
    const strange = (why: string): void => void walked.strange.push({ place, why });
    if (!Buffer.from(name).equals(raw)) {
      strange('its name is not UTF-8: give it another one to have it looked at');
      continue;
    }
    const stat = await lstat(path);
    const isFolder = stat.isDirectory();
    if (stat.isSymbolicLink()) strange('a symlink, not followed');
    else if (!stat.isFile() && !isFolder) strange('no ordinary file');
    else if (!isFolder || (await isDirectoryDump(path))) walked.files.push({ path, place, name, isFolder, stat });
    else if (physical.test(name)) notePhysical(walked, place);
    else if (depth === deepest) strange(`a folder more than ${deepest} deep, not looked into`);
    else await into(walked, path, depth + 1, signal);
  }
}

/** import/physical reads them in the folder that was asked for, and nowhere below it. */
function notePhysical({ strange }: Walked, place: string): void {
  const above = dirname(place);
  const owner = basename(place) === 'wal' || basename(above) !== 'base' ? above : dirname(above);
  if (owner === '.' || basename(place) === 'restore_staging') return;
  if (strange.some((one) => one.place === owner)) return;
  strange.push({ place: owner, why: 'it has base backups or WAL of an older script: give this folder itself' });
}

/** As bytes: not every name is text. */
async function namesIn({ root, strange }: Walked, folder: string): Promise<Buffer[]> {
  try {
    return (await readdir(folder, { encoding: 'buffer' })).sort(Buffer.compare);
  } catch (error) {
    strange.push({ place: relative(root, folder), why: `cannot be read (${(error as NodeJS.ErrnoException).code})` });
    return [];
  }
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
  return new PgproofError('file-refused', `'${printable(dir)}' ${why}`, {
    facts: { path: dir },
    hint: 'Give the folder that the old scripts wrote to, readable by the user that runs pgproof.',
    cause,
  });
}
