import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseLsn } from '../../core/lsn.ts';
import { openCluster } from '../../host/cluster.ts';
import { makePrivateFolder } from '../../host/folders.ts';
import { installScripts } from '../../host/scripts.ts';
import { repositoriesToWrite } from '../../postgres/cluster.ts';
import { declareEra } from '../../repository/eras.ts';
import { generateKeyFile } from '../../repository/key-file.ts';
import { initRepository } from '../../repository/repository.ts';
import { tempDir } from '../support/temp.ts';
import { shopHost } from './opened.ts';

const nowhere = { socketDir: '/nonexistent', port: 5432 };
const facts = {
  systemId: '7300000000000000001',
  major: 15,
  segmentBytes: 16 << 20,
  timeline: 1,
  insertLsn: parseLsn('0/2000000'),
  inRecovery: false,
};

/** A host below a new folder, with key and repository as `init` makes them. */
async function readyHost() {
  const dir = tempDir();
  const host = await shopHost(nowhere, dir);
  await generateKeyFile(join(dir, 'main.key'));
  await initRepository('local', host.config.repositories.local!);
  return { dir, host, state: join(dir, 'state') };
}

test('opening a cluster asks no server, makes its folders private and installs the scripts', async () => {
  const { host, state } = await readyHost();
  const shop = await openCluster(host, 'shop');
  expect(shop).toMatchObject({ name: 'shop', host: 'db-7', repository: { name: 'local' } });
  for (const folder of Object.values(shop.paths))
    expect([folder, statSync(folder).mode & 0o777]).toEqual([folder, 0o700]);
  expect(readdirSync(join(state, 'bin'))).toEqual(['archive-wal', 'restore-wal']);
  for (const name of ['archive-wal', 'restore-wal']) {
    expect(statSync(join(state, 'bin', name)).mode & 0o777).toBe(0o755);
    expect(readFileSync(join(state, 'bin', name), 'utf8')).toMatch(/^#!\/bin\/sh\n/);
  }
});

test('a script that PostgreSQL may be running is replaced, never written over, and left alone when it is the same', async () => {
  const folder = tempDir();
  await installScripts(folder);
  const path = join(folder, 'archive-wal');
  const first = statSync(path).ino;
  await installScripts(folder);
  expect(statSync(path).ino).toBe(first);
  writeFileSync(path, 'an older version');
  await installScripts(folder);
  expect(statSync(path).ino).not.toBe(first);
  expect(readFileSync(path, 'utf8')).toMatch(/^#!\/bin\/sh/);
  expect(readdirSync(folder).sort()).toEqual(['archive-wal', 'restore-wal']);
});

test.each<[string, string, (dir: string) => unknown]>([
  ['a key file that others can read', 'key-file-open', (dir) => chmodSync(join(dir, 'main.key'), 0o644)],
  ['a key file that is not there', 'key-file-missing', (dir) => putAway(join(dir, 'main.key'))],
  ['a key file that is none', 'key-file-invalid', (dir) => writeFileSync(join(dir, 'main.key'), '{}')],
  ['no repository', 'repository-missing', (dir) => putAway(join(dir, 'repository'))],
  [
    'a folder that is no repository',
    'repository-foreign',
    (dir) => {
      putAway(join(dir, 'repository'));
      mkdirSync(join(dir, 'repository'));
      writeFileSync(join(dir, 'repository', 'holiday.jpg'), '');
    },
  ],
])('%s is refused, and nothing is made', async (_, code, spoil) => {
  const { dir, host, state } = await readyHost();
  spoil(dir);
  await expect(openCluster(host, 'shop')).rejects.toMatchObject({ code, exitCode: 2, hint: expect.any(String) });
  expect(existsSync(state)).toBe(false);
});

function putAway(path: string): void {
  renameSync(path, `${path}.away`);
}

test('a repository that was written with another key, or with one where none is configured, is refused before anything is made', async () => {
  const { dir, host, state } = await readyHost();
  const shop = await openCluster(host, 'shop');
  await declareEra(shop.repository, shop, 'shop', facts);
  rmSync(state, { recursive: true });
  putAway(join(dir, 'main.key'));
  await generateKeyFile(join(dir, 'main.key'));
  await expect(openCluster(host, 'shop')).rejects.toMatchObject({ code: 'key-wrong', exitCode: 2 });
  const keyless = await shopHost(nowhere, dir, { key: false });
  await expect(openCluster(keyless, 'shop')).rejects.toMatchObject({ code: 'key-missing', exitCode: 2 });
  expect(existsSync(state)).toBe(false);
});

test('a state folder that cannot be made names the user and the command', async () => {
  const closed = tempDir();
  const path = join(closed, 'file', 'state');
  writeFileSync(join(closed, 'file'), '');
  await expect(makePrivateFolder(path)).rejects.toMatchObject({
    code: 'state-unusable',
    exitCode: 2,
    facts: { path, errno: 'ENOTDIR' },
    hint: expect.stringContaining(`install -d -o `),
  });
});

/** The host of `readyHost` with a second repository, which is made, too. */
async function twoRepositories(write: 'first' | 'all' = 'all') {
  const ready = await readyHost();
  const { config } = ready.host;
  const far = { ...config.repositories.local!, path: join(ready.dir, 'far') };
  const shop = { ...config.clusters.shop!, repositories: ['local', 'far'], write };
  const host = {
    ...ready.host,
    config: { ...config, repositories: { ...config.repositories, far }, clusters: { shop } },
  };
  await initRepository('far', far);
  return { ...ready, host };
}

test('of several repositories all are opened, nearest first', async () => {
  const { host } = await twoRepositories();
  const shop = await openCluster(host, 'shop');
  expect(shop.repositories.map(({ name }) => name)).toEqual(['local', 'far']);
  expect(shop.written.map(({ name }) => name)).toEqual(['local', 'far']);
  expect(shop).toMatchObject({ repository: { name: 'local' }, unavailable: [] });
  expect(repositoriesToWrite(shop)).toEqual(shop.written);
});

test('with one repository away the cluster opens with the others, and only what writes to that one fails', async () => {
  const { dir, host } = await twoRepositories();
  renameSync(join(dir, 'repository'), join(dir, 'unmounted'));
  const shop = await openCluster(host, 'shop');
  expect(shop).toMatchObject({ repository: { name: 'far' }, written: [{ name: 'far' }] });
  expect(shop.unavailable).toMatchObject([{ name: 'local', error: { code: 'repository-missing' } }]);
  expect(() => repositoriesToWrite(shop)).toThrow(/^repository 'local', which must be written to, cannot be used/);
  renameSync(join(dir, 'unmounted'), join(dir, 'repository'));
  expect(await shop.unavailable[0]?.open()).toMatchObject({ name: 'local' });
});

test('what writes to the first repository only fails without it, and reading goes on', async () => {
  const { dir, host } = await twoRepositories('first');
  renameSync(join(dir, 'repository'), join(dir, 'unmounted'));
  const shop = await openCluster(host, 'shop');
  expect(shop).toMatchObject({ repository: { name: 'far' }, written: [] });
  expect(() => repositoriesToWrite(shop)).toThrow(/'local'/);
});

test('without any repository the nearest one is named', async () => {
  const { dir, host } = await twoRepositories();
  renameSync(join(dir, 'repository'), join(dir, 'unmounted'));
  renameSync(join(dir, 'far'), join(dir, 'unmounted too'));
  await expect(openCluster(host, 'shop')).rejects.toMatchObject({
    code: 'repository-missing',
    facts: { repository: 'local' },
  });
});

test('one place under two names is refused: it would count as two copies', async () => {
  const { dir, host } = await twoRepositories();
  const repositories = { ...host.config.repositories, far: { type: 'file' as const, path: join(dir, 'repository') } };
  const twice = { ...host, config: { ...host.config, repositories } };
  await expect(openCluster(twice, 'shop')).rejects.toMatchObject({ code: 'config-invalid' });
});
