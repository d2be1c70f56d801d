import { existsSync } from 'node:fs';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';

/** Where downloaded programs lie: they stay, so that the next run starts in seconds. */
export function cacheFolders(): string[] {
  const places = [process.env.PGPROOF_CACHE, userCache(), '/var/cache/pgproof'];
  return [...new Set(places)].filter((path): path is string => path !== undefined && existsSync(path));
}

/**
 * Reports outlive the demo that made them: copies of the last demo's lie in the user's cache.
 * @returns where they are now.
 */
export async function keepReports(files: readonly string[]): Promise<string[]> {
  const folder = join(userCache(), 'last-demo');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  return Promise.all(
    files.map(async (file) => {
      const kept = join(folder, basename(file));
      await copyFile(file, kept);
      return kept;
    }),
  );
}

const userCache = (): string => join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pgproof');
