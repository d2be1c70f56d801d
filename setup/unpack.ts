import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { command } from './command.ts';
import { relink } from './relink.ts';
import { SetupError, say } from './say.ts';
import { fetchPackages, type Suite } from './suite.ts';

export type Tree = {
  suite: Suite;
  packages: string[];
  /** Where the tree ends up. It cannot be moved: its programs hold this path. */
  dir: string;
  /** Folders of the tree whose programs are to run on this host, as patterns. */
  programs: string[];
  /** The file that says the tree is whole, and what it is. */
  stamp: string;
};

/**
 * Unpacks packages of any suite into a folder of their own, with loader and libraries, so that their programs run
 * beside whatever this host packages. Callers hold the setup lock; what a killed run left is removed.
 */
export async function unpackTree(tree: Tree): Promise<void> {
  if (/[:$\s]/.test(tree.dir)) throw new SetupError(`a library path cannot hold ':', '$' or spaces: ${tree.dir}`);
  const started = Date.now();
  removeLeftovers(tree.dir);
  const temp = mkdtempSync(`${tree.dir}.tmp.`);
  try {
    const debs = await fetchPackages(tree.suite, [...tree.packages, 'patchelf'], join(temp, 'apt'));
    const root = join(temp, 'root');
    await unpack(debs, root);
    await relink(root, tree.dir, tree.programs);
    writeFileSync(join(root, tree.stamp), `${debs.map((deb) => basename(deb)).join('\n')}\n`);
    rmSync(tree.dir, { recursive: true, force: true });
    renameSync(root, tree.dir);
  } finally {
    rmSync(temp, { recursive: true, force: true });
  }
  say(`${tree.packages.join(' ')}: unpacked into ${tree.dir} in ${Math.round((Date.now() - started) / 1000)} s`);
}

function removeLeftovers(dir: string): void {
  mkdirSync(dirname(dir), { recursive: true });
  const prefix = `${basename(dir)}.tmp.`;
  for (const name of readdirSync(dirname(dir)).filter((name) => name.startsWith(prefix))) {
    rmSync(join(dirname(dir), name), { recursive: true, force: true });
  }
}

async function unpack(debs: string[], root: string): Promise<void> {
  // Older suites ship files in /lib, newer ones in /usr/lib only: here, too, one is a link to the other.
  for (const name of ['lib', 'lib64', 'bin', 'sbin']) {
    mkdirSync(join(root, 'usr', name), { recursive: true });
    symlinkSync(join('usr', name), join(root, name));
  }
  const untar = 'dpkg-deb --fsys-tarfile "$1" | tar -C "$2" --keep-directory-symlink --no-same-owner -xf -';
  for (const deb of debs) {
    await command('bash', ['-c', `set -o pipefail; ${untar}`, 'unpack', deb, root], { timeoutSeconds: 120 });
  }
  for (const name of ['usr/share/doc', 'usr/share/man', 'usr/share/info', 'usr/share/locale', 'var']) {
    rmSync(join(root, name), { recursive: true, force: true });
  }
  if (!existsSync(join(root, 'usr/bin/patchelf'))) throw new SetupError('the packages brought no patchelf');
}
