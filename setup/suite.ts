import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from './command.ts';
import { SetupError, say } from './say.ts';

/** The host's own sources, whatever they are, or one Debian suite. */
export type Suite = 'host' | 'bullseye' | 'bookworm' | 'trixie' | 'forky' | 'sid';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Fetches packages with all they need, and answers the .deb files. Nothing of the system is read or changed but its
 * sources and keyrings: apt gets a state of its own below `dir`, in which no package is installed. So it works for
 * every user, and for suites other than the host's.
 */
export async function fetchPackages(suite: Suite, packages: string[], dir: string): Promise<string[]> {
  const env = { ...process.env, APT_CONFIG: await privateApt(suite, dir) };
  const doing = `fetching packages of ${describe(suite)}`;
  await command('apt-get', ['update'], { env, timeoutSeconds: 300, doing });
  const plan = await command('apt-get', ['-s', 'install', ...packages], { env, timeoutSeconds: 60 });
  const names = [...plan.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] as string);
  if (names.length === 0) throw new SetupError(`${describe(suite)} offers nothing for ${packages.join(' ')}`);
  const needed = names.filter((name) => !packages.includes(name));
  say(`fetching from ${describe(suite)}: ${packages.join(' ')}, and what they need: ${needed.join(' ')}`);
  await command('apt-get', ['-y', '--download-only', 'install', ...packages], { env, timeoutSeconds: 900, doing });
  return globSync(join(dir, 'cache/archives/*.deb'));
}

const describe = (suite: Suite) => (suite === 'host' ? "this system's package sources" : `Debian ${suite}`);

/** The configuration file of an apt that has its own state and writes only below `dir`. */
async function privateApt(suite: Suite, dir: string): Promise<string> {
  for (const folder of ['state/lists/partial', 'cache/archives/partial', 'preferences']) {
    mkdirSync(join(dir, folder), { recursive: true });
  }
  writeFileSync(join(dir, 'status'), '');
  const sources = join(dir, 'sources.list');
  if (suite !== 'host') writeFileSync(sources, await sourcesOf(suite, dir));
  const settings = {
    'Dir::State': join(dir, 'state'),
    'Dir::State::status': join(dir, 'status'),
    'Dir::Cache': join(dir, 'cache'),
    'Dir::Etc::preferencesparts': join(dir, 'preferences'),
    'Dir::Etc::preferences': '/dev/null',
    ...(suite === 'host' ? {} : { 'Dir::Etc::sourcelist': sources, 'Dir::Etc::sourceparts': '/dev/null' }),
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': 'root', // the folder is open to its owner only
    'APT::Keep-Downloaded-Packages': 'true',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '2',
    'Acquire::http::Timeout': '30',
    'Acquire::https::Timeout': '30',
    'Debug::NoLocking': 'true',
  };
  const file = join(dir, 'apt.conf');
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
  // Container images clear the package cache after each install; ours is read afterwards.
  writeFileSync(file, `${lines.join('\n')}\n#clear DPkg::Post-Invoke;\n#clear APT::Update::Post-Invoke;\n`);
  return file;
}

async function sourcesOf(suite: Suite, dir: string): Promise<string> {
  const keyring = existsSync(KEYRING) ? KEYRING : await fetchKeyring(dir);
  return `deb [signed-by=${keyring}] ${debianMirror()} ${suite} main\n`;
}

/** The mirror this host uses; a host that is not Debian takes Debian's own address. */
function debianMirror(): string {
  const files = ['/etc/apt/sources.list', ...globSync('/etc/apt/sources.list.d/*.{list,sources}')];
  const text = files.map(readIfAny).join('\n');
  const urls = text.match(/^(?:URIs:|deb\s).*$/gm)?.flatMap((line) => line.match(/(?:https?|file|copy):\S+/g) ?? []);
  return urls?.find((url) => /\/debian\/?$/.test(url)) ?? 'http://deb.debian.org/debian';
}

/** Ubuntu packages Debian's keyring, signed by Ubuntu: that is where the trust comes from there. */
async function fetchKeyring(dir: string): Promise<string> {
  const own = join(dir, 'keyring');
  const debs = await fetchPackages('host', ['debian-archive-keyring'], own);
  for (const deb of debs) await command('dpkg-deb', ['-x', deb, own], { timeoutSeconds: 60 });
  return join(own, KEYRING);
}

function readIfAny(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
