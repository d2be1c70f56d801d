import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isErrno } from './errors.ts';

/** Unfinished objects lie here, on the same file system as the finished ones. Hidden: no key begins with a dot. */
export const incoming = '.incoming';

const dayMs = 86_400_000;

/** A name that tells whose it is: `<machine>-<pid>-<start of that process>-<random>`. */
export function tempName(): string {
  return `${machine()}-${process.pid}-${startOf(process.pid)}-${randomBytes(8).toString('hex')}`;
}

/**
 * Removes what dead processes left. Of this machine it is known who is dead; what others left, also this machine before
 * it was booted, goes once nothing was written to it for a day.
 */
export async function reapTemps(root: string): Promise<void> {
  const folder = join(root, incoming);
  for (const name of await names(folder)) {
    const path = join(folder, name);
    if (await isDead(name, path)) await rm(path, { recursive: true, force: true });
  }
}

async function isDead(name: string, path: string): Promise<boolean> {
  const [owner, pid, start] = name.split('-');
  if (owner === machine()) return startOf(Number(pid)) !== start;
  const written = await lstat(path).catch(ignoreAbsent);
  return written !== undefined && Date.now() - written.mtimeMs > dayMs;
}

async function names(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

function ignoreAbsent(error: unknown): undefined {
  if (isErrno(error, 'ENOENT')) return undefined;
  throw error;
}

/** Process ids mean something only within one boot of one machine, and one process namespace. */
function machine(): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const identity = [hostname(), boot, readlinkSync('/proc/self/ns/pid')].join('\0');
  return createHash('sha256').update(identity).digest('hex').slice(0, 12);
}

/** When the process started, in clock ticks since boot: a pid alone is given out again. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name, in parentheses, may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 'gone';
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return 'gone';
    throw error;
  }
}
