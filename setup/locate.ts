import { execFileSync, type StdioOptions } from 'node:child_process';
import { accessSync, constants, readdirSync, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { cacheDirs } from './places.ts';

export { cacheDirs } from './places.ts';

/** The Temporal CLI whose server pgproof is tested with; later tags cannot be installed by `go install`. */
export const TEMPORAL_VERSION = '1.5.1';
/** The server inside that CLI. */
const TEMPORAL_SERVER_VERSION = '1.29.1';
/** The S3 server that tests run against. */
export const VERSITYGW_VERSION = '1.8.0';

/** What a folder must hold to count as PostgreSQL's server and client programs. */
const PROGRAMS = ['postgres', 'initdb', 'pg_ctl', 'psql', 'pg_basebackup', 'pg_waldump', 'pg_verifybackup'];

/**
 * The bin folder of an installed PostgreSQL, of one major or of any; undefined when there is none. Only looks.
 * Order: PATH, /usr/lib/postgresql (newest first), the caches.
 */
export function locatePostgres(major?: string): string | undefined {
  return postgresCandidates().find((bin) => isPostgres(bin) && (major === undefined || majorOf(bin) === major));
}

/** The Temporal CLI's path: PATH (an older one is passed over), then the caches; undefined when there is none. */
export function locateTemporal(): string | undefined {
  const onPath = locateProgram('temporal');
  if (onPath !== undefined && isRecentTemporal(onPath)) return onPath;
  return cacheDirs()
    .map((cache) => join(cache, 'temporal', TEMPORAL_VERSION, 'temporal'))
    .find(isProgram);
}

/** The S3 server's path: PATH, then the pinned one in the caches; undefined when there is none. */
export function locateVersitygw(): string | undefined {
  const cached = cacheDirs().map((cache) => join(cache, 'versitygw', VERSITYGW_VERSION, 'versitygw'));
  return locateProgram('versitygw') ?? cached.find(isProgram);
}

/** The full path of a program: PATH, the sbin folders that ordinary users lack, tools in the caches. */
export function locateProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', ...toolFolders()];
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

/** Where setup puts tools for users who may not install packages. */
export const toolFolders = (): string[] => cacheDirs().map((cache) => join(cache, 'tools/bin'));

/** The major of a bin folder, from its place: asking the program costs a process each time. */
export function majorOf(bin: string): string | undefined {
  return /\/postgres(?:ql)?(?:-|\/)(\d+)\/bin$/.exec(bin)?.[1];
}

/** By the server inside: a CLI that `go install` built calls itself 0.0.0-DEV. */
function isRecentTemporal(path: string): boolean {
  try {
    const stdio: StdioOptions = ['ignore', 'pipe', 'ignore'];
    const answer = execFileSync(path, ['--version'], { encoding: 'utf8', timeout: 10_000, stdio });
    const found = (/Server (\d+)\.(\d+)\.(\d+)/.exec(answer) ?? []).slice(1).map(Number);
    const wanted = TEMPORAL_SERVER_VERSION.split('.').map(Number);
    const differs = wanted.findIndex((number, index) => number !== found[index]);
    return differs < 0 || (found[differs] ?? -1) > (wanted[differs] ?? 0);
  } catch {
    return false; // it does not run here
  }
}

function postgresCandidates(): string[] {
  const onPath = locateProgram('postgres');
  const system = '/usr/lib/postgresql';
  return [
    ...(onPath ? [dirname(realpathSync(onPath))] : []),
    ...majorsIn(system).map((major) => join(system, major, 'bin')),
    ...cacheDirs().flatMap((cache) =>
      majorsIn(join(cache, 'postgres')).map((major) =>
        join(cache, 'postgres', major, 'usr/lib/postgresql', major, 'bin'),
      ),
    ),
  ];
}

function majorsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^\d+$/.test(name))
      .sort((a, b) => Number(b) - Number(a));
  } catch {
    return []; // no such folder, or a closed one: nothing to find here
  }
}

const isPostgres = (bin: string) => PROGRAMS.every((name) => isProgram(join(bin, name)));

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
