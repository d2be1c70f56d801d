import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { currentEra } from '../../repository/eras.ts';
import { alternate } from '../support/postgres.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { type Failed, pgproof } from './cli.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ major: alternate(0)[0] as string });
});
afterAll(() => stage?.dispose());

const host = ['--host', 'db-7'];

/** The stage's config with one thing changed, in a folder of its own. */
// biome-ignore lint/suspicious/noExplicitAny: a file's content, to be spoilt
function configWith(change: (config: any) => void): string[] {
  const config: unknown = parse(readFileSync(stage.configFile, 'utf8'));
  change(config);
  const path = join(tempDir(), 'pgproof.yaml');
  writeFileSync(path, stringify(config));
  return ['--config', path, ...host];
}

async function refusal(args: string[]): Promise<Failed['error'] & { exit: number | undefined }> {
  const { code, json } = await pgproof(args);
  return { ...(json as Failed).error, exit: code };
}

const shop = () => ['--config', stage.configFile, ...host];

test('a misspelt verb is refused with the one that was meant', async () => {
  const error = await refusal(['bakcup', 'shop']);
  expect(error).toMatchObject({ exit: 2, code: 'usage' });
  expect(error.message).toContain('backup');
});

test('wrong use is answered by how that command is written', async () => {
  expect(await refusal(['restore', 'start', 'shop'])).toMatchObject({
    exit: 2,
    message: expect.stringContaining("'plan'"),
    hint: expect.stringContaining('pgproof restore start [options] <cluster> <plan>'),
  });
  expect(await refusal(['owner'])).toMatchObject({
    exit: 2,
    code: 'usage',
    hint: expect.stringContaining('show, take'),
  });
});

test('what others gave commands no terminal: it is written out', async () => {
  const { stderr } = await pgproof(['\x1b]0;title\x07\u009b31m\u202e']);
  expect(stderr).toContain('\\u{1b}]0;title\\u{7}\\u{9b}31m\\u{202e}');
});

test('a misspelt option is refused', async () => {
  expect(await refusal(['list', '--ofline'])).toMatchObject({ exit: 2, code: 'usage' });
});

test.each([
  [['drill', 'shop', '--dump', '20261121T14'], '--kind dump'],
  [['drill', 'shop', '--kind', 'dump', '--dump', '20261121T14', '--database', 'shop'], 'exclude each other'],
  [['reports', 'shop', '--page'], '--id'],
])('%j is refused before anything is asked', async (args, said) => {
  const error = await refusal([...args, ...shop()]);
  expect(error).toMatchObject({ exit: 2, code: 'usage', message: expect.stringContaining(said) });
});

test('a missing configuration is refused with where it was looked for', async () => {
  expect(await refusal(['list', '--config', '/nonexistent/pgproof.yaml'])).toMatchObject({
    exit: 2,
    code: 'config-missing',
  });
});

test('an unknown key in the configuration is refused with the key that was meant', async () => {
  const error = await refusal(['list', ...configWith((config) => (config.clusters.shop.retentoin = {}))]);
  expect(error).toMatchObject({ exit: 2, code: 'config-invalid' });
  expect(error.message).toContain('clusters.shop.retentoin');
});

test('a plain password in the configuration is refused and not repeated', async () => {
  const { json, stderr } = await pgproof([
    'list',
    ...configWith((config) => (config.clusters.shop.connection.password = 'hunter2')),
  ]);
  expect((json as Failed).error.code).toBe('password-plain');
  expect(JSON.stringify(json) + stderr).not.toContain('hunter2');
});

test('a cluster name that would leave its folder is refused', async () => {
  expect(await refusal(['backup', '../x', ...shop()])).toMatchObject({ exit: 2, code: 'name-invalid' });
  expect(await refusal(['init', '../x', '--socket', stage.server.socketDir])).toMatchObject({
    exit: 2,
    code: 'name-invalid',
  });
});

test('an unknown cluster is refused with the known ones', async () => {
  const error = await refusal(['drill', 'shoop', ...shop()]);
  expect(error).toMatchObject({ exit: 2, code: 'cluster-unknown' });
  expect(error.hint).toContain('shop');
});

test('a time without a zone is refused, never guessed', async () => {
  const error = await refusal([
    'restore',
    'plan',
    'shop',
    '--to',
    '2026-11-20 14:05:00',
    '--into',
    '/tmp/never-made',
    ...shop(),
  ]);
  expect(error).toMatchObject({ exit: 2, code: 'target-invalid' });
  expect(error.message).toContain("'2026-11-20 14:05:00'");
  expect(existsSync('/tmp/never-made')).toBe(false);
});

test('a timeline that is none is refused, quoting it', async () => {
  const plan = ['restore', 'plan', 'shop', '--to', 'latest', '--into', '/tmp/never-made', ...shop()];
  for (const [option, value] of [
    ['--timeline', 'two'],
    ['--timeline', '0'],
  ]) {
    const error = await refusal([...plan, option as string, value as string]);
    expect(error).toMatchObject({ exit: 2, code: 'usage' });
    expect(error.message).toContain(`'${value}'`);
  }
});

test('a server that cannot be reached is named, and init then leaves nothing', async () => {
  const folder = tempDir();
  const error = (await pgproof(['init', 'shop', '--socket', folder], { cwd: folder })).json as Failed;
  expect(error.error.code).toBe('server-unreachable');
  expect(error.error.message).toContain(folder);
  expect(readdirSync(folder)).toEqual([]);
});

test('in an outage of its only store, WAL status shows the server and the spool, and names the store', async () => {
  const args = configWith((config) => {
    const address = { endpoint: 'http://127.0.0.1:1', region: 'eu-central-1', pathStyle: true };
    config.repositories.local = { type: 's3', bucket: 'backups', prefix: 'pgproof/', ...address };
  });
  const env = { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' };
  const { code, json } = await pgproof(['wal', 'status', 'shop', ...args], { env });
  expect(code).toBe(3);
  expect(json).toMatchObject({
    serverLsn: expect.stringContaining('/'),
    spool: { files: expect.any(Number) },
    frontier: null,
  });
  const { problems } = json as { problems: { code: string; message: string }[] };
  expect(problems.find(({ code }) => code === 'store-unreachable')?.message).toContain(
    "http://127.0.0.1:1 (bucket 'backups')",
  );
});

test('init in a folder that this user may not write says so by its code', async () => {
  const folder = tempDir();
  chmodSync(folder, 0o500);
  const { socketDir } = stage.server;
  const { code, json } = await pgproof(['init', 'other', '--socket', socketDir, '--host', 'db-9'], { cwd: folder });
  expect((json as Failed).error).toMatchObject({
    code: 'file-unwritable',
    facts: { path: join(folder, 'pgproof.yaml'), errno: 'EACCES' },
  });
  expect(code).toBe(2);
});

test('key test says which backups open, and exits 3 when one is closed', async () => {
  const { code, json } = await pgproof(['key', 'test', 'shop', ...shop()]);
  expect({ code, json }).toMatchObject({ code: 0, json: { cluster: 'shop', repository: 'local', tests: [] } });
  await stage.cluster.repository.store.create(
    `shop/${(await currentEra(stage.cluster.repository, 'shop'))?.era}/wal/00000001/0000000100000000/000000010000000000000001-${'0'.repeat(32)}.zst.enc`,
    Buffer.from('Salted__ by somebody else'),
  );
  expect(await pgproof(['key', 'test', 'shop', ...shop()])).toMatchObject({
    code: 3,
    json: { tests: [{ what: 'WAL 000000010000000000000001', opens: false, error: { code: 'key-missing' } }] },
  });
});

test('a key file that others can read is refused with its mode and the command that mends it', async () => {
  const key = join(stage.folder, 'main.key');
  chmodSync(key, 0o640);
  const error = await refusal(['list', ...shop()]);
  chmodSync(key, 0o600);
  expect(error).toMatchObject({ exit: 2, code: 'key-file-open', facts: { mode: '0640' } });
  expect(error.hint).toContain(`chmod 600 ${key}`);
});

test('a repository that was written with another key is refused before anything is touched', async () => {
  const other = join(tempDir(), 'other.key');
  await pgproof(['key', 'generate', other]);
  const before = readdirSync(join(stage.folder, 'repository'), { recursive: true });
  const error = await refusal([
    'backup',
    'shop',
    '--offline',
    ...configWith((config) => (config.keys.main.file = other)),
  ]);
  expect(error).toMatchObject({ exit: 2, code: 'key-wrong' });
  expect(readdirSync(join(stage.folder, 'repository'), { recursive: true })).toEqual(before);
});

test('a key is never overwritten', async () => {
  const error = await refusal(['key', 'generate', join(stage.folder, 'main.key')]);
  expect(error).toMatchObject({ exit: 2, code: 'key-file-exists' });
});

test('a repository of a newer format is refused', async () => {
  const folder = tempDir();
  const marker = {
    formatVersion: 99,
    repositoryId: '7f1f2f7e-6c0b-4d6e-9a52-0d6b8f0b1c11',
    createdAt: '2030-01-01T00:00:00Z',
  };
  writeFileSync(join(folder, 'pgproof-repository.json'), JSON.stringify(marker));
  expect(await refusal(['list', ...configWith((config) => (config.repositories.local.path = folder))])).toMatchObject({
    exit: 2,
    code: 'repository-format',
  });
});

test('a folder that is no repository is refused and stays as it is', async () => {
  const folder = tempDir();
  mkdirSync(join(folder, 'photos'));
  writeFileSync(join(folder, 'photos/cat.jpg'), 'meow');
  const other = configWith((config) => (config.repositories.local.path = folder));
  expect(await refusal(['list', ...other])).toMatchObject({ exit: 2, code: 'repository-foreign' });
  expect(readdirSync(folder, { recursive: true }).sort()).toEqual(['photos', 'photos/cat.jpg']);
});

test('without Temporal an operation says so, with the address and the command that needs none', async () => {
  const error = await refusal([
    'backup',
    'shop',
    ...configWith((config) => (config.temporal = { embedded: { port: 1, uiPort: 2 } })),
  ]);
  expect(error).toMatchObject({ exit: 1, code: 'temporal-unreachable', facts: { address: '127.0.0.1:1' } });
  expect(error.hint).toContain('pgproof backup shop --offline');
});
