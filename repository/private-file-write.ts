import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chown, link, mkdir, open, readdir, realpath, rename, stat, unlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import { syncFolder } from '../storage/durable-file.ts';

/**
 * Makes a file that only its owner can read, durably: whoever is killed leaves no half of it. Folders above it are made 0700.
 * @throws {PgproofError} `key-file-exists` when it is there, and nothing is touched; `file-unwritable`, `no-space`.
 */
export async function createPrivateFile(path: string, text: string): Promise<void> {
  await writable(path, async () => {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const temp = await writeAside(path, text);
    try {
      await link(temp, path);
    } catch (error) {
      throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? exists(path) : error;
    } finally {
      await unlink(temp);
    }
    await syncFolder(dirname(path));
  });
}

/**
 * Puts another content in place of a file's, durably: at every moment the one or the other is there, whole. Owner and mode
 * stay, so that what root rotates is still the worker's. What a killed one left aside goes away. The caller holds the file's lock.
 * @throws {PgproofError} `file-unwritable`, `no-space`.
 */
export async function replacePrivateFile(path: string, text: string): Promise<void> {
  await writable(path, async () => {
    // A link stays one, and leads to the new content.
    const target = await realpath(path);
    const { uid, gid } = await stat(target);
    await removeLeftovers(target);
    const temp = await writeAside(target, text);
    try {
      if (uid !== process.getuid?.() || gid !== process.getgid?.()) await chown(temp, uid, gid);
      await rename(temp, target);
    } catch (error) {
      await unlink(temp);
      throw error;
    }
    await syncFolder(dirname(target));
  });
}

/**
 * Runs `use` as the only one on this machine that changes the file: of two that read, change and replace it, one would undo
 * the other's change. The name lives in the kernel and ends with its holder.
 * @throws {PgproofError} `key-file-busy`
 */
export async function withFileLock<T>(path: string, use: () => Promise<T>): Promise<T> {
  const name = createHash('sha256')
    .update(await realpath(path).catch(() => path))
    .digest('hex');
  const server = createServer().listen(`\0pgproof-file-${name}`);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new PgproofError('key-file-busy', `another process changes '${path}' just now`, { facts: { path }, cause });
  }
  try {
    return await use();
  } finally {
    server.close();
  }
}

/** They hold secrets, and nobody else would ever look for them. */
async function removeLeftovers(path: string): Promise<void> {
  for (const name of await readdir(dirname(path))) {
    const suffix = name.startsWith(`${basename(path)}.`) ? name.slice(basename(path).length) : '';
    if (tempSuffix.test(suffix)) await unlink(join(dirname(path), name));
  }
}

const tempSuffix = /^\.[0-9a-f]{8}\.tmp$/;

async function writeAside(path: string, text: string): Promise<string> {
  const temp = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  const file = await open(temp, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } catch (error) {
    await unlink(temp);
    throw error;
  } finally {
    await file.close();
  }
  return temp;
}

async function writable(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (cause) {
    const { code, syscall } = cause as NodeJS.ErrnoException;
    if (cause instanceof PgproofError || code === undefined || syscall === undefined) throw cause;
    throw unwritable(path, code, cause);
  }
}

/** What this user may not write, or where there is no room for it. @param errno such as EACCES. */
export function unwritable(path: string, errno: string, cause: unknown): PgproofError {
  if (errno === 'ENOSPC' || errno === 'EDQUOT')
    return new PgproofError('no-space', `there is no space to write '${path}'`, { facts: { path }, cause });
  const user = userInfo().username;
  return new PgproofError('file-unwritable', `user ${user} cannot write '${path}': ${errno}`, {
    facts: { path, user, errno },
    hint: 'Choose another place, let the folder belong to that user, or run this as another one.',
    cause,
  });
}

function exists(path: string): PgproofError {
  return new PgproofError('key-file-exists', `the file '${path}' is there already`, {
    facts: { path },
    hint: 'A key is never overwritten: without it the backups made with it are lost. Choose another path.',
  });
}
