import { join } from 'node:path';
import type { ClusterConfig } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';
import { versionInContainer } from './docker.ts';
import { isProgram, pathFolders, type Tools, usualPlaces } from './tools.ts';
import { supportedMajors, toolVersion } from './version.ts';

/** Programs of dumps and of their restores. `version` as pg_dump says it: `18.6 (Debian 18.6-3)`. */
export type Clients = Tools & { version: string };

/** One package has them all. */
const needed = ['pg_dump', 'pg_dumpall', 'pg_restore', 'psql'];

/**
 * Client programs that are at least as new as that: an older pg_dump refuses the server, an older pg_restore the dump. With `auto`
 * those of this very major, otherwise the next newer ones.
 * @throws {PgproofError} `tool-missing`; `tool-outdated` where there are only older ones.
 */
export async function findClients(
  { bin, docker }: ClusterConfig['tools'],
  atLeast: number,
  what = 'the server',
): Promise<Clients> {
  if (docker !== undefined) {
    const { major, text } = await versionInContainer(docker, 'pg_dump');
    return newEnough({ bin: '', container: docker, major, version: text }, atLeast, what);
  }
  const majors = Array.from({ length: supportedMajors.newest - atLeast + 1 }, (_, index) => atLeast + index);
  const places = bin === 'auto' ? [...majors.flatMap(usualPlaces), ...pathFolders()] : [bin];
  let older: Clients | undefined;
  for (const place of places) {
    if (!(await hasAll(place))) continue;
    const { major, text } = await toolVersion(join(place, 'pg_dump'));
    const found = { bin: place, major, version: text };
    if (major >= atLeast) return found;
    older ??= found;
  }
  if (older !== undefined) return newEnough(older, atLeast, what);
  throw new PgproofError('tool-missing', `no pg_dump, pg_dumpall, pg_restore and psql of PostgreSQL ${atLeast}`, {
    facts: { tool: 'pg_dump', major: atLeast, places: bin === 'auto' ? [...places.slice(0, 6), 'PATH'] : places },
    hint:
      bin === 'auto'
        ? `Install the package postgresql-client-${atLeast}, or set tools.bin to the folder of the programs.`
        : `Correct tools.bin ('${bin}'), or set it to auto.`,
  });
}

function newEnough(found: Clients, atLeast: number, what: string): Clients {
  if (found.major >= atLeast) return found;
  const where = found.container === undefined ? `in '${found.bin}'` : `in the container '${found.container}'`;
  throw new PgproofError(
    'tool-outdated',
    `pg_dump ${where} is of PostgreSQL ${found.major}, and ${what} of ${atLeast}: older programs cannot`,
    {
      facts: { tool: 'pg_dump', toolMajor: found.major, neededMajor: atLeast },
      hint: `Install the package postgresql-client-${atLeast}, and let tools.bin find it (auto), or name its folder.`,
    },
  );
}

const hasAll = async (place: string): Promise<boolean> =>
  (await Promise.all(needed.map((name) => isProgram(join(place, name))))).every(Boolean);
