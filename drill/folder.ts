import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import type { RunId } from '../core/ids.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { stopLeftoverServer } from '../postgres/control.ts';
import { isAlive, owner, thisProcess } from './owner.ts';

/** Everything of one drill on this host; nothing in it outlives the drill. */
export type DrillFolder = {
  /** Of the drill; of a killed one, whatever is known of it. */
  id: string;
  root: string;
  /** The restored data directory. */
  dataDir: string;
  /** What its recovery needs beside the data. The server's socket lies in it, and its path must be short. */
  workRoot: string;
};

const note = owner.extend({ drillId: z.string() });
type Note = z.infer<typeof note>;

/** The reason of what a drill holds. */
export const heldFor = (id: string): string => `drill ${id}`;

/** Drills of this process that are going on: one that this process left behind is a leftover, though its owner lives. */
const goingOn = new Set<string>();

/** Named by the random end of the id: the whole one would make the socket's path too long in most homes. */
export function drillFolderAt({ paths }: Pick<ProtectedCluster, 'paths'>, id: string): DrillFolder {
  const root = join(paths.drills, id.slice(-8));
  return { id, root, dataDir: join(root, 'data'), workRoot: join(root, 'run') };
}

/**
 * Makes the folder. Its note, a file beside it, says whose it is: it is there before the folder and goes after it,
 * so that whatever a kill leaves is found by the next drill.
 */
export async function makeDrillFolder(
  cluster: Pick<ProtectedCluster, 'paths'>,
  id: RunId,
): Promise<DrillFolder & { id: RunId }> {
  const folder = { ...drillFolderAt(cluster, id), id };
  goingOn.add(folder.root);
  try {
    await writeFile(noteOf(folder.root), JSON.stringify({ ...thisProcess(), drillId: id }), {
      mode: 0o600,
      flag: 'wx',
    });
    await mkdir(folder.root, { mode: 0o700 });
  } catch (cause) {
    goingOn.delete(folder.root);
    throw unusable(folder.root, cause as NodeJS.ErrnoException);
  }
  return folder;
}

/**
 * Ends a server that still runs there and removes the folder.
 * @throws {PgproofError} `cluster-running` when a server does not end; then nothing is removed.
 */
export async function removeDrillFolder({ root, dataDir }: DrillFolder): Promise<{ stoppedPid: number | null }> {
  const stoppedPid = await stopLeftoverServer(dataDir);
  await rm(root, { recursive: true, force: true, maxRetries: 5 });
  await rm(noteOf(root), { force: true });
  goingOn.delete(root);
  return { stoppedPid };
}

/** The drill is over, even if its folder could not be removed: the next one takes what is left. */
export function leaveDrillFolder({ root }: DrillFolder): void {
  goingOn.delete(root);
}

/** Folders of drills whose process was killed. Those of drills that go on are not among them. */
export async function leftoverDrills(cluster: Pick<ProtectedCluster, 'paths'>): Promise<DrillFolder[]> {
  const entries = await readdir(cluster.paths.drills);
  const names = entries
    .map((entry) => /^([0-9a-f]{8})(\.json)?$/.exec(entry)?.[1])
    .filter((name) => name !== undefined);
  const left: DrillFolder[] = [];
  for (const name of new Set(names)) {
    const { root } = drillFolderAt(cluster, name);
    const found = await readNote(root);
    if (!goingOn.has(root) && (await isOver(found, root))) {
      left.push({
        ...drillFolderAt(cluster, name),
        id: typeof found === 'object' && found !== null ? found.drillId : name,
      });
    }
  }
  return left;
}

async function isOver(found: Note | 'unreadable' | null, root: string): Promise<boolean> {
  if (found === null) return true;
  if (found === 'unreadable') return isOld(noteOf(root));
  // Of this process's own drills those that go on are known.
  return !isAlive(found) || found.pid === process.pid;
}

/** Null: there is none. Unreadable: its writer was killed in the middle of it, or is writing it now. */
async function readNote(root: string): Promise<Note | 'unreadable' | null> {
  let text: string;
  try {
    text = await readFile(noteOf(root), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return note.parse(JSON.parse(text));
  } catch {
    return 'unreadable';
  }
}

/** Writing a note takes no minute. */
async function isOld(path: string): Promise<boolean> {
  const { mtimeMs } = await stat(path);
  return Date.now() - mtimeMs > 60_000;
}

const noteOf = (root: string): string => `${root}.json`;

function unusable(path: string, cause: NodeJS.ErrnoException): PgproofError {
  const full = cause.code === 'ENOSPC' || cause.code === 'EDQUOT';
  return new PgproofError(
    full ? 'no-space' : 'state-unusable',
    `a drill cannot make its folder '${path}': ${cause.message}`,
    {
      facts: { path },
      hint: full ? 'Free some space there.' : 'Correct the rights of the state folder: hosts.<name>.state.',
      cause,
    },
  );
}
