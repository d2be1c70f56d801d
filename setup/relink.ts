import {
  closeSync,
  existsSync,
  globSync,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { command } from './command.ts';

/**
 * Points the programs of an unpacked tree at the tree's own loader and libraries, as they will lie in `finalDir`.
 * The tree's own patchelf does it, run through the tree's loader: the host needs nothing.
 */
export async function relink(root: string, finalDir: string, programs: string[]): Promise<void> {
  makeLinksRelative(root);
  const folders = ['usr/lib/*-linux-gnu*', 'usr/lib/systemd', 'usr/lib/*-linux-gnu*/systemd']; // systemd has libraries of its own
  const libraries = folders
    .flatMap((folder) => globSync(join(root, folder)))
    .filter((dir) => statSync(dir).isDirectory());
  const rpath = libraries.map((dir) => join(finalDir, relative(root, dir))).join(':');
  const patchelf = await patchelfOf(root, libraries);
  for (const program of programs.flatMap((pattern) => globSync(join(root, pattern))).filter(isElf)) {
    const loader = (await patchelf('--print-interpreter', program).catch(() => '')).trim();
    if (loader === '') continue; // a static program has none
    await patchelf('--set-interpreter', join(finalDir, loader), '--force-rpath', '--set-rpath', rpath, program);
  }
  // A program's DT_RPATH serves the libraries it loads, too, except one with a DT_RUNPATH of its own (libLLVM): that
  // one would take the host's libraries.
  const shared = [
    'usr/lib/*-linux-gnu*/*.so*',
    'usr/lib/{.,*-linux-gnu*}/systemd/*.so*',
    'usr/lib/postgresql/*/lib/*.so',
  ];
  for (const library of shared.flatMap((pattern) => globSync(join(root, pattern))).filter(isElf)) {
    const own = (await patchelf('--print-rpath', library).catch(() => '')).trim();
    if (own !== '') await patchelf('--force-rpath', '--set-rpath', `${own}:${rpath}`, library);
  }
}

type Patchelf = (...args: string[]) => Promise<string>;

async function patchelfOf(root: string, libraries: string[]): Promise<Patchelf> {
  const loader = globSync(join(root, 'usr/{lib,lib64,lib/*-linux-gnu*}/ld-linux*.so.*'))[0] as string;
  const program = [loader, '--library-path', libraries.join(':'), join(root, 'usr/bin/patchelf')] as const;
  return (...args) => command(program[0], [...program.slice(1), ...args], { timeoutSeconds: 60 });
}

/** An absolute link means one of the host's files here (the loader of older suites is one). */
function makeLinksRelative(root: string): void {
  for (const link of globSync(join(root, 'usr/{lib,lib64}/{*,*-linux-gnu*/*}'))) {
    if (!lstatSync(link).isSymbolicLink()) continue;
    const target = readlinkSync(link);
    if (!target.startsWith('/') || !existsSync(join(root, target))) continue;
    rmSync(link);
    symlinkSync(relative(dirname(link), join(root, target)), link);
  }
}

function isElf(path: string): boolean {
  if (!lstatSync(path).isFile()) return false;
  const magic = Buffer.alloc(4);
  const file = openSync(path, 'r');
  readSync(file, magic, 0, 4, 0);
  closeSync(file);
  return magic.toString('latin1') === '\x7fELF';
}
