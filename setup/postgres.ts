import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { aptInstall, hasApt, isRoot, preventMainCluster } from './apt.ts';
import { ownCache } from './places.ts';
import { SetupError, say } from './say.ts';
import type { Suite } from './suite.ts';
import { unpackTree } from './unpack.ts';

/** The Debian suites that ship a major, best first. */
const suitesOf: Record<string, Suite[]> = {
  13: ['bullseye'],
  15: ['bookworm'],
  17: ['trixie'],
  18: ['forky', 'sid'],
};

/** Any server, for the demo: the system's package for root, the same unpacked into the cache for everybody else. */
export async function installPostgres(): Promise<void> {
  if (!hasApt())
    throw new SetupError('no PostgreSQL server found, and no apt to get one; install PostgreSQL 13 or newer', 2);
  if (isRoot() && preventMainCluster()) return aptInstall(['postgresql']);
  const major = await packagedMajor();
  say(`PostgreSQL ${major} goes into the cache; the system stays as it is`);
  await unpackMajor(major, ['host', ...(suitesOf[major] ?? [])]);
}

/** One certain major beside whatever the host packages: for tests. */
export async function installMajor(major: string): Promise<void> {
  const suites = suitesOf[major];
  if (suites === undefined) throw new SetupError(`no Debian suite with PostgreSQL ${major} is known`);
  if (!hasApt()) throw new SetupError(`no PostgreSQL ${major} found, and no apt to get it`);
  await unpackMajor(major, suites);
}

async function unpackMajor(major: string, suites: Suite[]): Promise<void> {
  const dir = join(ownCache(), 'postgres', major);
  const failures: string[] = [];
  for (const suite of suites) {
    try {
      const programs = [`usr/lib/postgresql/${major}/bin/*`];
      await unpackTree({ suite, packages: [`postgresql-${major}`], dir, programs, stamp: '.postgres-major' });
      const version = execFileSync(join(dir, programs[0] as string, '../postgres'), ['--version'], {
        encoding: 'utf8',
      });
      say(`${version.trim()} is ready`);
      return;
    } catch (error) {
      failures.push(String((error as Error).message));
      say(`no PostgreSQL ${major} from ${suite}: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  throw new SetupError(`PostgreSQL ${major} could not be fetched:\n${failures.join('\n')}`);
}

/** The major that this release ships; where that is unknown, the one every recent Debian suite can run. */
async function packagedMajor(): Promise<string> {
  const codename = /^VERSION_CODENAME="?(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  const known: Record<string, string> = {
    bullseye: '13',
    bookworm: '15',
    jammy: '14',
    noble: '16',
    trixie: '17',
    forky: '18',
  };
  return known[codename ?? ''] ?? '15';
}
