import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where root installs, for every user of this machine to read. */
const SHARED_CACHE = '/var/cache/pgproof';

/** The folder this process installs into: PGPROOF_CACHE, root's shared cache, or the user's own. */
export function ownCache(): string {
  if (process.env.PGPROOF_CACHE) return process.env.PGPROOF_CACHE;
  if (process.getuid?.() === 0) return SHARED_CACHE;
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pgproof');
}

/** All folders where something installed may lie, nearest first: what root installed serves everybody. */
export function cacheDirs(): string[] {
  return [...new Set([ownCache(), SHARED_CACHE])];
}
