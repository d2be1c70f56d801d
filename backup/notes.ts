import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerFacts } from '../postgres/server.ts';

/** What belongs to the server and is not in its base backup; a person who restores must know. One sentence each. */
export async function missingFromBackup({ dataDirectory, settings }: ServerFacts): Promise<string[]> {
  if (dataDirectory === null)
    return ['the role may not see data_directory, so configuration files elsewhere are unknown'];
  const elsewhere = ['config_file', 'hba_file', 'ident_file']
    .map((name) => settings[name])
    .filter((path): path is string => path !== undefined && !path.startsWith(`${dataDirectory}/`))
    .map((path) => `${path} lies outside the data directory and is not part of the backup`);
  const linked = await isLink(join(dataDirectory, 'pg_wal'));
  return linked ? [...elsewhere, 'pg_wal is a symbolic link; a restore makes a plain folder of it'] : elsewhere;
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch (error) {
    // The server's folder may be on another host, or closed to us; the backup comes through the server all the same.
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
