import { access, constants } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import { toolVersion } from './version.ts';

/** PostgreSQL's programs of one major, all in one folder; or, with `container`, those that are on the PATH in there. */
export type Tools = { bin: string; major: number; container?: string };

/** What pgproof runs. A client package alone has only some of them. */
const needed = ['postgres', 'pg_basebackup', 'pg_controldata', 'pg_verifybackup', 'pg_waldump'];

/**
 * The programs of exactly this major: a server's files and WAL are read by its own major's tools only.
 * @param bin a folder, or `auto`: the distribution's places, what `pgproof` itself has put into the caches, and PATH.
 * @throws {PgproofError} `tool-missing` names the program, the major, where it was looked for, and the package.
 */
export async function findTools(bin: 'auto' | (string & {}), major: number): Promise<Tools> {
  const places = bin === 'auto' ? usualPlaces(major) : [bin];
  const reasons: string[] = [];
  for (const place of bin === 'auto' ? [...places, ...pathFolders()] : places) {
    const reason = await unfit(place, major);
    if (reason === null) return { bin: place, major };
    // PATH has folders of every kind, and Debian's wrappers of every major.
    if (reason !== 'absent' && places.includes(place)) reasons.push(reason);
  }
  throw new PgproofError(
    'tool-missing',
    `no programs of PostgreSQL ${major}: ${reasons[0] ?? `nothing in ${places.join(', ')}`}`,
    {
      facts: { tool: 'postgres', major, places: [...places, ...(bin === 'auto' ? ['PATH'] : [])] },
      hint:
        bin === 'auto'
          ? `Install the package postgresql-${major}, or set tools.bin to the folder of the server's programs.`
          : `Correct tools.bin ('${bin}'), or set it to auto.`,
    },
  );
}

/** Null when the folder holds all of this major's programs; `absent` when none; otherwise what is wrong with it. */
async function unfit(bin: string, major: number): Promise<string | null> {
  const missing = await Promise.all(needed.map(async (name) => ((await isProgram(join(bin, name))) ? [] : [name])));
  const names = missing.flat();
  if (names.length === needed.length) return 'absent';
  if (names.length > 0) return `${bin} has no ${names.join(', no ')}`;
  const version = await toolVersion(join(bin, 'postgres'));
  return version.major === major ? null : `${bin} is of PostgreSQL ${version.major}`;
}

export function usualPlaces(major: number): string[] {
  const caches = [process.env.PGPROOF_CACHE, userCache(), '/var/cache/pgproof'].filter((path) => path !== undefined);
  return [
    `/usr/lib/postgresql/${major}/bin`,
    `/usr/pgsql-${major}/bin`,
    ...caches.map((cache) => join(cache, 'postgres', String(major), 'usr/lib/postgresql', String(major), 'bin')),
  ];
}

export function pathFolders(): string[] {
  return (process.env.PATH ?? '').split(delimiter).filter((path) => path.startsWith('/'));
}

function userCache(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pgproof');
}

export async function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
