import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { command } from './command.ts';
import { say } from './say.ts';

const CREATECLUSTER = '/etc/postgresql-common/createcluster.conf';
const quiet = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };

export const isRoot = (): boolean => process.getuid?.() === 0;
export const hasApt = (): boolean => existsSync('/usr/bin/apt-get') && existsSync('/usr/bin/dpkg-deb');

/** Installs packages of this system, root only; what apt would install is named before it does. */
export async function aptInstall(packages: string[]): Promise<void> {
  // Lists that are missing or out of date are the usual reason for a first attempt that fails.
  await attempt(packages).catch(async () => {
    say('refreshing the package lists (apt-get update)');
    await command('apt-get', ['update'], { env: quiet, timeoutSeconds: 300, doing: 'apt-get update' });
    await attempt(packages);
  });
}

async function attempt(packages: string[]): Promise<void> {
  const wanted = ['install', '-y', '--no-install-recommends', ...packages];
  const planned = await simulate(wanted);
  if (planned.length === 0) return;
  say(`installing with apt: ${planned.join(' ')}`);
  const options = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Options::=--force-confold'];
  await command('apt-get', [...options, ...wanted], { env: quiet, timeoutSeconds: 1200, doing: 'apt-get install' });
}

async function simulate(wanted: string[]): Promise<string[]> {
  const out = await command('apt-get', ['-s', ...wanted], { env: quiet, timeoutSeconds: 60 });
  return [...out.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] as string);
}

/**
 * Makes sure that Debian's package creates no cluster `main` of its own. A file that is there already is the
 * user's: it is only read, and false means that it would let the package create one.
 */
export function preventMainCluster(): boolean {
  if (existsSync(CREATECLUSTER)) {
    return /^\s*create_main_cluster\s*=\s*false/m.test(readFileSync(CREATECLUSTER, 'utf8'));
  }
  say(`writing ${CREATECLUSTER}: create_main_cluster = false`);
  mkdirSync(dirname(CREATECLUSTER), { recursive: true });
  writeFileSync(CREATECLUSTER, 'create_main_cluster = false\n');
  return true;
}
