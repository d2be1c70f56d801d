import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Setup } from '../../client/init/plan.ts';
import { loadConfig } from '../../host/config.ts';
import { type Failed, pgproof } from '../client/cli.ts';
import { alternate, type Cluster, startCluster } from '../support/postgres.ts';
import { tempDir } from '../support/temp.ts';

const secret = 'p#ss = w$rd';
let server: Cluster;

beforeAll(async () => {
  server = await startCluster({ major: alternate(0)[0] as string });
  await server.sql(`CREATE ROLE scripts LOGIN PASSWORD '${secret}'`);
  await server.sql(`CREATE ROLE chief SUPERUSER LOGIN PASSWORD '${secret}'`);
  const hba = join(server.dataDir, 'pg_hba.conf');
  writeFileSync(hba, `local all scripts,chief scram-sha-256\n${readFileSync(hba, 'utf8')}`);
  await server.sql('SELECT pg_reload_conf()');
});
afterAll(() => server?.dispose());

const init = (folder: string, ...args: string[]) =>
  pgproof(['init', 'shop', '--host', 'db-7', ...args], { cwd: folder, env: { XDG_STATE_HOME: folder } });
const here = () => ['--socket', server.socketDir];

test('init writes the strategy for the size, RPO and RTO it is told, and says which and why', async () => {
  const folder = tempDir();
  const { code, json } = await init(folder, ...here(), '--size', '2TB', '--rpo', '1m', '--rto', '1d');
  expect(code).toBe(0);
  expect(json).toMatchObject({ strategy: { name: 'large', why: expect.stringContaining('2.0 TB, RPO 1m, RTO 1d') } });
  const { shop } = (await loadConfig(join(folder, 'pgproof.yaml'))).clusters;
  expect(shop?.objectives).toMatchObject({ rpo: 60, rto: 86_400 });
  const again = await init(folder, '--size', '1GB');
  expect(again.json).toEqual({ ...(json as Setup), strategy: null });
});

test('--cipher makes a key of that cipher, and is refused where a key is there already or none shall be', async () => {
  const folder = tempDir();
  const cipherOf = () => JSON.parse(readFileSync(join(folder, 'shop.key'), 'utf8')).keySets[0].cipher;
  const cipher = ['--cipher', 'chacha20-poly1305'];
  expect(await init(folder, ...here(), ...cipher, '--no-key')).toMatchObject({ code: 2 });
  expect(readdirSync(folder)).toEqual([]);
  expect((await init(folder, ...here(), ...cipher)).code).toBe(0);
  expect(cipherOf()).toBe('chacha20-poly1305');
  for (const file of ['pgproof.yaml', 'other.yaml']) {
    const refused = await init(folder, ...here(), '--cipher', 'aes-256-cbc', '--config', join(folder, file));
    expect(refused).toMatchObject({ code: 2, json: { error: { code: 'usage', facts: { cipher: 'aes-256-cbc' } } } });
  }
  expect(cipherOf()).toBe('chacha20-poly1305');
});

test('on a terminal init asks for what the flags do not say', async () => {
  const folder = tempDir();
  const node = join(import.meta.dirname, '../../node_modules/.bin/node');
  const main = join(import.meta.dirname, '../../client/main.ts');
  const typed = `${node} ${main} init shop --host db-7 --socket ${server.socketDir} --rto 2h`;
  const { stdout } = await execa('script', ['-qec', typed, '/dev/null'], {
    cwd: folder,
    env: { XDG_STATE_HOME: folder },
    input: '50GB\n1x\n1d\n',
    timeout: 110_000,
  });
  expect(stdout).toContain("'1x' is not a duration");
  expect(stdout).toContain('strategy       small, for 50.0 GB, RPO 1d, RTO 2h');
});

test('--from-env takes over the settings of the old scripts, with its secrets in files that only their owner can read', async () => {
  const folder = tempDir();
  const env = join(folder, 'old.env');
  const lines = [
    `PG_HOST=${server.socketDir}`,
    'PG_USER=scripts',
    `PGPASSWORD="${secret}"`,
    'PG_DATABASE=shop',
    'BACKUP_MODE=local',
    `BACKUP_BASE_DIR=${join(folder, 'backups')}`,
    'BACKUP_ENCRYPTION_ALGORITHM=aes-256-cbc',
    'BACKUP_ENCRYPTION_PASSWORD=the-old-one',
    'RETENTION_DAYS=30',
    'FEISHU_WEBHOOK=https://hook/the-old-token',
  ];
  writeFileSync(env, lines.join('\n'));
  const { code, json, stderr } = await init(folder, '--from-env', env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect((json as Setup).oldSettings.map(({ name }) => name)).toEqual(lines.map((line) => line.split('=')[0]));
  for (const name of ['shop.password', 'shop.old-encryption-password', 'shop.key'])
    expect(statSync(join(folder, name)).mode & 0o777, name).toBe(0o600);
  expect(JSON.parse(readFileSync(join(folder, 'shop.key'), 'utf8')).keySets[0].cipher).toBe('aes-256-cbc');
  expect(readdirSync(join(folder, 'backups/pgproof/shop'))).toContain('eras');
  const shown = `${JSON.stringify(json)}${readFileSync(join(folder, 'pgproof.yaml'), 'utf8')}`;
  for (const hidden of [secret, 'the-old-one', 'the-old-token']) expect(shown).not.toContain(hidden);
  // The configuration is enough: the role logs in with the file it names.
  const checked = await pgproof(['check', 'shop', '--host', 'db-7'], { cwd: folder, env: { XDG_STATE_HOME: folder } });
  expect((checked.json as { findings: { name: string; status: string }[] }).findings).toContainEqual(
    expect.objectContaining({ name: 'server', status: 'ok' }),
  );

  // It logs in already: a line for that above the others could take away what it has.
  expect((json as Setup).hba).toEqual(['local replication scripts scram-sha-256']);

  const twice = await init(folder, '--from-env', env);
  expect(twice).toMatchObject({ code: 2, json: { error: { code: 'config-exists' } } });
  expect((await init(folder)).code).toBe(0);
});

test('a server that does not answer and another secret under the name leave nothing behind', async () => {
  const folder = tempDir();
  const env = join(folder, 'old.env');
  writeFileSync(env, `PG_HOST=${folder}\nPG_USER=scripts\nPGPASSWORD=x\n`);
  expect(await init(folder, '--from-env', env)).toMatchObject({
    code: 1,
    json: { error: { code: 'server-unreachable' } },
  });
  expect(readdirSync(folder)).toEqual(['old.env']);

  writeFileSync(env, `PG_HOST=${server.socketDir}\nPG_USER=scripts\nPGPASSWORD="${secret}"\n`);
  writeFileSync(join(folder, 'shop.password'), 'another\n', { mode: 0o600 });
  const refused = await init(folder, '--from-env', env);
  expect(refused).toMatchObject({ code: 2, json: { error: { code: 'config-exists' } } });
  expect((refused.json as Failed).error.message).toContain('shop.password');
  expect(existsSync(join(folder, 'pgproof.yaml'))).toBe(false);
});

test('a superuser of the old scripts is left as it is: pgproof gets a role of its own, and nothing keeps the password', async () => {
  const folder = tempDir();
  const env = join(folder, 'old.env');
  writeFileSync(env, `PG_HOST=${server.socketDir}\nPG_USER=chief\nPGPASSWORD="${secret}"\n`);
  const { code, json } = await init(folder, '--from-env', env);
  expect(code).toBe(0);
  const { role, roleSql, hba, ident, oldSettings } = json as Setup;
  expect(role).toBe('pgproof');
  expect([roleSql, ...hba, ...ident].join('\n')).not.toContain('chief');
  expect(hba).toHaveLength(2);
  expect(oldSettings).toContainEqual({
    name: 'PG_USER',
    value: 'chief',
    became: 'comment',
    text: expect.stringContaining('is a superuser, and stays as it is'),
  });
  expect(existsSync(join(folder, 'shop.password'))).toBe(false);
  const config = readFileSync(join(folder, 'pgproof.yaml'), 'utf8');
  expect(config).toContain('user: pgproof');
  expect(config).not.toContain('password:');
});

test('init run again lists what the server does not have yet, prints the key that the configuration names, and never touches a superuser', async () => {
  const folder = tempDir();
  const file = join(folder, 'pgproof.yaml');
  const first = (await init(folder, ...here())).json as Setup;
  const renamed = join(folder, 'elsewhere.key');
  renameSync(join(folder, 'shop.key'), renamed);
  const text = readFileSync(file, 'utf8').replace(join(folder, 'shop.key'), renamed);
  writeFileSync(file, text);
  await server.sql(first.roleSql);
  const again = (await init(folder)).json as Setup;
  expect(again).toMatchObject({ keyFile: renamed, roleSql: '', hba: [], ident: [], hasHeartbeat: false });
  expect((await pgproof(['heartbeat', 'install', 'shop', '--host', 'db-7'], { cwd: folder })).code).toBe(0);
  expect((await init(folder)).json).toMatchObject({ hasHeartbeat: true, isRunning: false });
  await server.sql('DROP SCHEMA pgproof CASCADE');
  expect((await init(folder)).json).toMatchObject({ roleSql: first.roleSql, hba: [] });

  writeFileSync(file, text.replace('user: pgproof', 'user: chief')); // who is refused without its password
  expect((await init(folder)).json).toMatchObject({ role: 'chief', roleSql: '', hba: [], ident: [] });
  await server.sql('DROP OWNED BY pgproof; DROP ROLE pgproof');
});

test('what became of the old settings is shown before a repository is asked, and init goes on once that is mended', async () => {
  const folder = tempDir();
  const env = join(folder, 'old.env');
  const lines = [`PG_HOST=${server.socketDir}`, 'PG_USER=scripts', `PGPASSWORD="${secret}"`, 'RETENTION_DAYS=3'];
  writeFileSync(env, [...lines, `BACKUP_BASE_DIR=${join(folder, 'backups')}`, ''].join('\n'));
  writeFileSync(join(folder, 'backups'), 'in the way');
  const main = join(import.meta.dirname, '../../client/main.ts');
  const node = join(import.meta.dirname, '../../node_modules/.bin/node');
  const options = { cwd: folder, env: { XDG_STATE_HOME: folder }, reject: false, timeout: 110_000 } as const;
  const { exitCode, stderr } = await execa(node, [main, 'init', 'shop', '--host', 'db-7', '--from-env', env], options);
  expect(exitCode).not.toBe(0);
  expect(stderr).toMatch(/^OLD SETTING.*RETENTION_DAYS +taken over.*pgproof: /s);
  expect(stderr).toContain(`go on with: pgproof init shop --config ${join(folder, 'pgproof.yaml')}`);
  rmSync(join(folder, 'backups'));
  expect(await init(folder)).toMatchObject({ code: 0, json: { strategy: null } });
});
