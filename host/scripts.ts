import { randomBytes } from 'node:crypto';
import { chmod, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The two scripts that PostgreSQL runs, by the names they have in its settings. */
const walScripts = ['archive-wal', 'restore-wal'] as const;

/**
 * Puts copies of the two shell scripts into the state folder, because PostgreSQL must never point into a checkout or a
 * version's folder that goes away. PostgreSQL may be running the old one meanwhile, so it is replaced, never written over.
 */
export async function installScripts(folder: string): Promise<void> {
  for (const name of walScripts) {
    const source = await readFile(fileURLToPath(new URL(`../wal/${name}.sh`, import.meta.url)));
    const path = join(folder, name);
    if (!(await holds(path, source))) await replace(path, source);
  }
}

async function holds(path: string, content: Buffer): Promise<boolean> {
  try {
    return (await readFile(path)).equals(content);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function replace(path: string, content: Buffer): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(temporary, content, { mode: 0o755, flush: true });
    await chmod(temporary, 0o755); // whatever the umask is
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}
