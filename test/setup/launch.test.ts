import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../support/temp.ts';

/** A checkout as git leaves it: no node_modules. `node` and `npm` are stand-ins that come first on PATH. */
function freshCheckout(nodeMajor: number, npm = 'exit 1') {
  const root = tempDir();
  for (const name of ['pgproof', 'setup/launch.sh', 'package-lock.json']) cpSync(name, join(root, name));
  const bin = join(root, 'bin');
  program(join(bin, 'node'), `case "$2" in *arch*) echo ${process.arch};; *) echo ${nodeMajor};; esac`);
  program(join(bin, 'npm'), npm);
  const start = (env: Record<string, string> = {}) =>
    spawnSync(join(root, 'pgproof'), ['list'], {
      cwd: root,
      encoding: 'utf8',
      env: { PATH: `${bin}:${process.env.PATH}`, HOME: root, PGPROOF_CACHE: join(root, 'cache'), ...env },
    });
  return { root, start };
}

function program(path: string, text: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
}

test('a Node that is too old is named, with exit 2 and nothing installed', () => {
  const { root, start } = freshCheckout(18);
  const { status, stderr } = start();
  expect(status).toBe(2);
  expect(stderr).toContain('Node.js 20 or newer is needed');
  expect(existsSync(join(root, 'node_modules'))).toBe(false);
});

test('PGPROOF_INSTALL=no refuses npm packages, with the one line to run', () => {
  const { root, start } = freshCheckout(20, `touch ${'"$0"'}.ran`);
  const { status, stderr } = start({ PGPROOF_INSTALL: 'no' });
  expect(status).toBe(2);
  expect(stderr).toContain(`run: cd ${root} && npm ci`);
  expect(existsSync(join(root, 'bin/npm.ran'))).toBe(false);
});

test('npm ci that fails leaves no stamp, so the next start installs again', () => {
  const { root, start } = freshCheckout(20, `mkdir -p node_modules; echo ran >>"$0".ran; exit 1`);
  for (const _ of ['first', 'second']) {
    const { status, stderr } = start();
    expect(status).toBe(1);
    expect(stderr).toContain('npm ci failed');
  }
  expect(existsSync(join(root, 'node_modules/.pgproof-stamp'))).toBe(false);
});

test('packages are installed once, and the link to Node that npm 9 drops is made again', () => {
  const node = `node_modules/node-linux-${process.arch}/bin`;
  const npm = `mkdir -p node_modules/.bin ${node}; printf '#!/bin/sh\\necho started "$@"\\n' >${node}/node
chmod +x ${node}/node; echo ran >>"$0".ran`;
  const { root, start } = freshCheckout(20, npm);
  const client = join(root, 'client/main.ts');
  expect(start().stdout).toBe(`started ${client} list\n`);
  const again = start();
  expect(again.stdout).toBe(`started ${client} list\n`);
  expect(again.stderr).toBe('');
});
