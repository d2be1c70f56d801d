import { existsSync, globSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { aptInstall, hasApt, isRoot } from './apt.ts';
import { command } from './command.ts';
import { locateProgram } from './locate.ts';
import { cacheDirs, ownCache } from './places.ts';
import { SetupError, say } from './say.ts';
import { fetchPackages } from './suite.ts';
import { unpackTree } from './unpack.ts';

/** Packages of programs that tests compare ours with. */
export const TOOLS = ['zstd', 'openssl', 'age', 'busybox', 'systemd'] as const;

/** A package has a program of its own name, unless it says otherwise. */
const otherPrograms: Record<string, string[]> = { age: ['age', 'age-keygen'], systemd: ['systemd-analyze'] };
const programsIn = (name: string): string[] => otherPrograms[name] ?? [name];

export function hasTool(name: string): boolean {
  return programsIn(name).every((program) => locateProgram(program) !== undefined);
}

/** Google's implementation of the encryption format, as PyPI ships it, for tests and for restoring without pgproof. */
export const TINK = 'tink==1.16.1';

export async function installTool(name: string): Promise<void> {
  if (!hasApt()) throw new SetupError(`${name} is missing`);
  if (isRoot()) return aptInstall([name]);
  const dir = join(ownCache(), 'tools', name);
  const programs = programsIn(name).map((program) => `usr/bin/${program}`);
  await unpackTree({ suite: 'host', packages: [name], dir, programs, stamp: '.tool' });
  for (const program of programsIn(name)) {
    const link = join(ownCache(), 'tools/bin', program);
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(join(dir, 'usr/bin', program), link);
  }
}

/** The python3 of a virtual environment that has tink; undefined when there is none. Only looks. */
export function locateTinkPython(): string | undefined {
  return cacheDirs()
    .map((cache) => join(cache, 'python', TINK))
    .filter((venv) => existsSync(join(venv, '.whole')))
    .map((venv) => join(venv, 'bin/python3'))[0];
}

export async function installTink(): Promise<void> {
  const venv = join(ownCache(), 'python', TINK);
  const python = await anyPython();
  rmSync(venv, { recursive: true, force: true }); // it cannot be moved, so it is built in place and stamped at its end
  mkdirSync(dirname(venv), { recursive: true });
  say(`installing ${TINK} from PyPI into ${venv}`);
  const own = join(venv, 'bin/python3');
  await command(python, ['-m', 'venv', venv], { timeoutSeconds: 120 }).catch(() => venvFromWheel(python, venv));
  const options = ['--no-cache-dir', '--disable-pip-version-check', '--only-binary=:all:'];
  await command(own, ['-m', 'pip', 'install', ...options, TINK], { timeoutSeconds: 300, doing: 'pip install' });
  await command(own, ['-c', 'import tink'], { timeoutSeconds: 60 });
  writeFileSync(join(venv, '.whole'), '');
}

/** Debian's own first: one below somebody's home does not run for others. */
async function anyPython(): Promise<string> {
  if (!existsSync('/usr/bin/python3') && isRoot() && hasApt()) await aptInstall(['python3']);
  const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : locateProgram('python3');
  if (python === undefined) throw new SetupError('python3 is missing');
  return python;
}

/** Debian splits pip off from Python; its wheel installs itself, so nobody has to install a package for it. */
async function venvFromWheel(python: string, venv: string): Promise<void> {
  if (!hasApt()) throw new SetupError('python3 has no venv module with pip');
  const temp = mkdtempSync(join(ownCache(), 'pip.tmp.'));
  try {
    const debs = await fetchPackages('host', ['python3-pip-whl'], temp);
    for (const deb of debs) await command('dpkg-deb', ['-x', deb, join(temp, 'root')], { timeoutSeconds: 60 });
    const wheel = globSync(join(temp, 'root/usr/share/python-wheels/pip-*.whl'))[0];
    if (wheel === undefined) throw new SetupError('the package python3-pip-whl brought no wheel');
    await command(python, ['-m', 'venv', '--clear', '--without-pip', venv], { timeoutSeconds: 120 });
    const install = ['install', '--no-index', '--disable-pip-version-check', wheel];
    await command(join(venv, 'bin/python3'), [join(wheel, 'pip'), ...install], { timeoutSeconds: 120 });
  } finally {
    rmSync(temp, { recursive: true, force: true });
  }
}
