import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { generateKeyFile, readKeyFile } from '../../repository/key-file.ts';
import { initRepository } from '../../repository/repository.ts';
import { tempDir } from '../support/temp.ts';
import { type Failed, pgproof } from './cli.ts';

const passphrase = 'seven horses under one umbrella';

let folder: string;
let keyFile: string;
let passphraseFile: string;
beforeEach(async () => {
  folder = tempDir('key');
  keyFile = join(folder, 'main.key');
  passphraseFile = join(folder, 'passphrase');
  writeFileSync(passphraseFile, `${passphrase}\n`, { mode: 0o600 });
  const repositories = { local: { type: 'file', path: join(folder, 'repository') } };
  await initRepository('local', { type: 'file', path: join(folder, 'repository') });
  const config = { hosts: { 'db-7': {} }, repositories, keys: { main: { file: keyFile } }, clusters: {} };
  writeFileSync(join(folder, 'pgproof.yaml'), stringify(config));
});

const key = (args: string[], env: Record<string, string> = {}) =>
  pgproof(['key', ...args, '--config', join(folder, 'pgproof.yaml'), '--host', 'db-7'], { cwd: folder, env });
const refusal = async (args: string[], env: Record<string, string> = {}) => {
  const { code, json } = await key(args, env);
  return { exit: code, ...(json as Failed).error };
};

test('whoever reads along may leave: what was asked for is done all the same', async () => {
  const main = join(import.meta.dirname, '../../client/main.ts');
  const leaving = spawn(process.execPath, [main, 'key', 'generate', keyFile], { stdio: ['ignore', 'pipe', 'pipe'] });
  leaving.stdout.destroy();
  leaving.stderr.destroy();
  expect(await new Promise((resolve) => leaving.once('close', resolve))).toBe(0);
  expect(existsSync(keyFile)).toBe(true);
});

describe('a key', () => {
  test('is made under its configured name, rotated, listed with where it is wrapped, and comes back on a host that lost it', async () => {
    expect((await key(['generate', 'main', '--cipher', 'chacha20-poly1305'])).code).toBe(0);
    const rotated = await key(['rotate', 'main']);
    expect(rotated).toMatchObject({ code: 0, json: { cipher: 'chacha20-poly1305', file: keyFile } });
    const [newest, older] = (await readKeyFile(keyFile)).all.map(({ id }) => id);
    expect(rotated.json).toMatchObject({ keyId: newest, before: older });

    const identity = join(folder, 'identity');
    execFileSync('age-keygen', ['-o', identity], { stdio: 'ignore' });
    const recipient = execFileSync('age-keygen', ['-y', identity]).toString().trim();
    const wrapped = await key(['wrap', 'main', '--repository', 'local', '--recipient', recipient]);
    expect(wrapped).toMatchObject({
      code: 0,
      json: { kind: 'recipient', keyId: newest, existed: false },
    });
    const { json } = await key(['list']);
    expect(json).toMatchObject({
      keys: [
        {
          key: 'main',
          sets: [
            { keyId: newest, use: 'current', reads: true, wrapped: [{ repository: 'local' }] },
            { keyId: older, use: 'older', reads: true, wrapped: [{ repository: 'local' }] },
          ],
        },
      ],
      wrappedElsewhere: [],
    });

    const back = join(folder, 'back.key');
    const unwrapped = await key(['unwrap', '--repository', 'local', '--identity-file', identity, '--into', back]);
    expect(unwrapped).toMatchObject({ code: 0, json: { file: back, keyIds: [newest, older], closed: [] } });
    expect(JSON.parse(readFileSync(back, 'utf8'))).toEqual(JSON.parse(readFileSync(keyFile, 'utf8')));
  });

  test('is wrapped for a passphrase of a file or of the environment, and refused for another', async () => {
    await generateKeyFile(keyFile, 'aes-256-cbc');
    const wrap = ['wrap', 'main', '--repository', 'local'];
    expect(await key([...wrap, '--passphrase-file', passphraseFile])).toMatchObject({ code: 0 });
    const unwrap = ['unwrap', '--repository', 'local', '--into', './back.key', '--passphrase-env', 'SECRET'];
    const wrong = await refusal(unwrap, { SECRET: 'another passphrase' });
    expect(wrong).toMatchObject({ exit: 2, code: 'passphrase-wrong' });
    expect(existsSync(join(folder, 'back.key'))).toBe(false);
    expect(await key(unwrap, { SECRET: passphrase })).toMatchObject({ code: 0 });
    expect((await readKeyFile(join(folder, 'back.key'))).all).toEqual((await readKeyFile(keyFile)).all);
  });

  test('has a copy that only writes, which list calls so', async () => {
    await generateKeyFile(join(folder, 'whole.key'), 'chacha20-poly1305');
    expect(await key(['recipient', './whole.key', '--into', './main.key'])).toMatchObject({ code: 0 });
    expect((await key(['list'])).json).toMatchObject({ keys: [{ sets: [{ reads: false, wrapped: [] }] }] });
    const wrap = ['wrap', 'main', '--repository', 'local', '--passphrase-file', passphraseFile];
    expect(await refusal(wrap)).toMatchObject({ exit: 2, code: 'key-write-only' });
  });
});

test('a passphrase is taken from one place, which nobody else can read, and is none that can be guessed', async () => {
  await generateKeyFile(keyFile);
  const wrap = ['wrap', 'main', '--repository', 'local'];
  expect(await refusal([...wrap, '--passphrase', passphrase])).toMatchObject({ exit: 2, code: 'usage' });
  expect(await refusal(wrap)).toMatchObject({ exit: 2, code: 'usage' });
  const short = await refusal([...wrap, '--passphrase-env', 'SECRET'], { SECRET: 'horses' });
  expect(short).toMatchObject({ exit: 2, code: 'usage' });
  expect(JSON.stringify(short)).not.toContain('horses');
  expect(await refusal([...wrap, '--recipient', 'age1nobody'])).toMatchObject({ exit: 2, code: 'usage' });
  chmodSync(passphraseFile, 0o644);
  const open = await refusal([...wrap, '--passphrase-file', passphraseFile]);
  expect(open).toMatchObject({ exit: 2, code: 'key-file-open', facts: { mode: '0644' } });
  expect(existsSync(join(folder, 'repository/keys'))).toBe(false);
});

test('names, ciphers and places that are none are refused by name', async () => {
  expect(await refusal(['generate', 'other'])).toMatchObject({ exit: 2, code: 'usage', facts: { known: ['main'] } });
  const wrap = ['wrap', 'main', '--passphrase-file', passphraseFile, '--repository', 'moon'];
  await generateKeyFile(keyFile);
  expect(await refusal(wrap)).toMatchObject({ exit: 2, code: 'repository-unknown' });
  const closed = tempDir('closed');
  chmodSync(closed, 0o500);
  const error = await refusal(['generate', join(closed, 'a.key')]);
  expect(error).toMatchObject({
    exit: 2,
    code: 'file-unwritable',
    facts: { path: join(closed, 'a.key'), errno: 'EACCES' },
  });
});
