import { constants, type Stats } from 'node:fs';
import { access, lstat, readdir, realpath, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join, normalize } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { runningServer } from '../postgres/control.ts';

/** The file by which a folder says that a restore of ours began in it. */
export const markerName = 'pgproof-restore.json';

/**
 * Whether a data directory can be made at `into`: an empty or absent folder that this user can write to, and that lies in no
 * other data directory and in nothing of ours. Answers its real path.
 * @param begun true where a restore of ours has begun: the folder may hold something.
 * @throws {PgproofError} `target-folder`, `cluster-running`, `root-refused`; nothing was touched.
 */
export async function checkTargetFolder(cluster: ProtectedCluster, into: string, begun = false): Promise<string> {
  refuseRoot();
  const path = await realPlace(into);
  refuseOurOwn(cluster, path);
  await refuseInsideOther(path);
  const found = await statOrNull(path);
  if (found === null) await refuseUnlessCreatable(path);
  else await refuseUnlessUsable(path, found, begun);
  return path;
}

/** Bytes that this user may still write where `path` is or will be. */
export async function freeBytesAt(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(await nearestExisting(path));
  return bavail * bsize;
}

/** @throws {PgproofError} `no-space` */
export async function refuseWithoutSpace(path: string, requiredBytes: number): Promise<void> {
  const freeBytes = await freeBytesAt(path);
  if (freeBytes >= requiredBytes) return;
  throw new PgproofError(
    'no-space',
    `the restore needs ${requiredBytes} bytes at '${path}', and ${freeBytes} are free`,
    {
      facts: { path, requiredBytes, freeBytes },
      hint: 'Free some space there, or restore into a folder on another file system.',
    },
  );
}

function refuseRoot(): void {
  if (process.getuid?.() !== 0) return;
  throw new PgproofError('root-refused', 'a restore starts a PostgreSQL server, which does not run as root', {
    hint: 'Run it as the user that is to own the restored data directory, for example: setpriv --reuid postgres --regid postgres --init-groups …',
  });
}

/** The path without symbolic links, also where its end does not exist yet. */
async function realPlace(into: string): Promise<string> {
  if (!into.startsWith('/'))
    throw refused(into, 'it is not an absolute path', 'Give the whole path, beginning with /.');
  if (/[\r\n\0]/.test(into)) throw refused(into, 'it has a line break in its name', 'Choose another name.');
  const path = normalize(into).replace(/\/+$/, '');
  if (path === '')
    throw refused(into, 'it is the root folder', 'Give an empty folder, or one that does not exist yet.');
  const existing = await nearestExisting(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EACCES') throw cause;
    throw refused(into, 'this user may not look into the folder above it', 'Choose a folder of its own.', cause);
  });
  return join(await realpath(existing), path.slice(existing.length));
}

function refuseOurOwn(cluster: ProtectedCluster, path: string): void {
  const { spool, backups, plans, fetch, scripts } = cluster.paths;
  const locations = cluster.repositories.map(({ location }) => location);
  const inside = [spool, backups, plans, fetch, scripts, ...locations].find((ours) => isWithin(path, ours));
  if (inside !== undefined)
    throw refused(path, `it is inside '${inside}', which is pgproof's own`, 'Choose a folder of its own.');
}

async function refuseInsideOther(path: string): Promise<void> {
  for (let above = dirname(path); above !== '/'; above = dirname(above)) {
    if ((await statOrNull(join(above, 'PG_VERSION'))) === null) continue;
    throw refused(path, `it is inside the data directory '${above}'`, 'Choose a folder outside of it.');
  }
}

async function refuseUnlessCreatable(path: string): Promise<void> {
  const parent = await nearestExisting(path);
  try {
    await access(parent, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw refused(
      path,
      `this user cannot create it in '${parent}'`,
      `Make it once, as root: install -d -o ${process.getuid?.()} -m 0700 '${path}'`,
      cause,
    );
  }
}

async function refuseUnlessUsable(path: string, found: Stats, begun: boolean): Promise<void> {
  if (!found.isDirectory())
    throw refused(path, 'it is not a folder', 'Give an empty folder, or one that does not exist yet.');
  const pid = await runningServer(path);
  if (pid !== null && !begun) {
    throw new PgproofError('cluster-running', `a PostgreSQL server (process ${pid}) runs in '${path}'`, {
      facts: { path, pid },
      hint: 'Restore into an empty folder; pgproof never writes into a folder that is in use.',
    });
  }
  if (found.uid !== process.getuid?.()) {
    throw refused(
      path,
      `it belongs to user ${found.uid}, and this process runs as user ${process.getuid?.()}`,
      `Change its owner: chown ${process.getuid?.()} '${path}'`,
    );
  }
  const entries = await readdir(path);
  if (entries.length === 0 || begun) return;
  const holds = entries.includes('PG_VERSION')
    ? 'it holds a data directory'
    : `it is not empty (${entries.slice(0, 3).join(', ')}${entries.length > 3 ? ', …' : ''})`;
  throw refused(
    path,
    holds,
    'Give an empty folder, or one that does not exist yet. pgproof removes nothing that it has not written itself.',
  );
}

async function nearestExisting(path: string): Promise<string> {
  let at = path;
  while ((await lstatOrNull(at)) === null) at = dirname(at);
  return at;
}

function isWithin(path: string, folder: string): boolean {
  return folder.startsWith('/') && (path === folder || path.startsWith(`${folder}/`));
}

async function statOrNull(path: string): Promise<Stats | null> {
  return stat(path).catch(unlessAbsent);
}

async function lstatOrNull(path: string): Promise<Stats | null> {
  return lstat(path).catch(unlessAbsent);
}

function unlessAbsent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
  throw error;
}

function refused(path: string, why: string, hint: string, cause?: unknown): PgproofError {
  return new PgproofError('target-folder', `nothing can be restored into '${path}': ${why}`, {
    facts: { path, name: basename(path) },
    hint,
    cause,
  });
}
