import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { wrapText } from '../../repository/age-file.ts';
import { keyFileText, openKeyFile, readKeyFile } from '../../repository/key-file.ts';
import { rotateKeyFile, writeRecipientFile } from '../../repository/key-rotate.ts';
import { type KeyFileDocument, newKeySet } from '../../repository/key-set.ts';
import { wrapperKey } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import { listWrappers, unwrapKeySets, wrapKeySets } from '../../repository/wrappers.ts';
import { tempDir } from '../support/temp.ts';
import { bytesOf, newKeyFile, newRepository } from './support.ts';

const passphrase = 'seven horses under one umbrella';
const byPassphrase = { kind: 'passphrase', passphrase } as const;

let repository: Repository;
let file: string;
beforeEach(async () => {
  repository = await newRepository();
  file = await newKeyFile('chacha20-poly1305');
});

const setsOf = async (path = file): Promise<KeyFileDocument['keySets']> => (await openKeyFile(path)).document.keySets;
const storedText = (key: string) => readFileSync(join(repository.location, key), 'utf8');
const ageOf = (key: string) => (JSON.parse(storedText(key)) as { age: string }).age;

/** As a person makes one, with age's own program. */
function newIdentity(): { identityFile: string; recipient: string; identities: string[] } {
  const identityFile = join(tempDir('age'), 'identity');
  execFileSync('age-keygen', ['-o', identityFile], { stdio: 'ignore' });
  const recipient = execFileSync('age-keygen', ['-y', identityFile]).toString().trim();
  const identities = readFileSync(identityFile, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('AGE-'));
  return { identityFile, recipient, identities };
}

const wrapOne = async (recipient: string) => wrapKeySets(repository, await setsOf(), { kind: 'recipient', recipient });

// scrypt takes a second each time, which is its purpose: these share one wrapped key.
test('a key wrapped for a passphrase opens with it, here and with the stock age, is wrapped once, and opens with no other', async () => {
  const [set] = await setsOf();
  const { key } = await wrapKeySets(repository, [set], byPassphrase);
  for (const secret of [set.identity, set.identityKey, set.signingKey, passphrase])
    expect(storedText(key)).not.toContain(secret);

  const folder = tempDir('age');
  writeFileSync(join(folder, 'wrapped.age'), ageOf(key));
  const python = [
    join(import.meta.dirname, 'age-passphrase.py'),
    join(folder, 'wrapped.age'),
    join(folder, 'main.key'),
  ];
  execFileSync('python3', python, { env: { ...process.env, PASSPHRASE: passphrase } });
  expect(readFileSync(join(folder, 'main.key'), 'utf8')).toBe(keyFileText([set]));

  const wrong = await unwrapKeySets(repository, { kind: 'passphrase', passphrase: `${passphrase}!` }).catch(
    (thrown: unknown) => thrown,
  );
  expect(wrong).toMatchObject({
    code: 'passphrase-wrong',
    message: expect.stringContaining(key),
    facts: { wrappers: [key] },
  });
  expect((wrong as Error).message).not.toContain('horses');

  await rotateKeyFile(file, 'aes-256-cbc');
  const sets = await setsOf();
  expect(await wrapKeySets(repository, sets, byPassphrase)).toMatchObject({ keyId: sets[0].id, existed: false });
  expect(await wrapKeySets(repository, sets, byPassphrase)).toMatchObject({ existed: true });
  expect(await unwrapKeySets(repository, byPassphrase)).toEqual({ sets, closed: [] });
});

describe('a key wrapped for a recipient', () => {
  test('opens with the stock age and the identity, and with pgproof', async () => {
    const { identityFile, recipient, identities } = newIdentity();
    const sets = await setsOf();
    const { key } = await wrapOne(recipient);
    const opened = execFileSync('age', ['-d', '-i', identityFile], { input: ageOf(key) });
    expect(opened.toString()).toBe(keyFileText(sets));
    expect(await unwrapKeySets(repository, { kind: 'recipient', identities })).toEqual({ sets, closed: [] });
    expect(await wrapKeySets(repository, sets, { kind: 'recipient', recipient })).toMatchObject({ key, existed: true });
  });

  test('does not open with another identity, nor with a passphrase', async () => {
    const { recipient } = newIdentity();
    await wrapKeySets(repository, await setsOf(), { kind: 'recipient', recipient });
    const { identities } = newIdentity();
    await expect(unwrapKeySets(repository, { kind: 'recipient', identities })).rejects.toMatchObject({
      code: 'key-wrong',
    });
    await expect(unwrapKeySets(repository, byPassphrase)).rejects.toMatchObject({ code: 'key-missing' });
    const broken = unwrapKeySets(repository, { kind: 'recipient', identities: ['AGE-SECRET-KEY-1NOTONE'] });
    await expect(broken).rejects.toMatchObject({ code: 'key-file-invalid' });
    await expect(broken).rejects.not.toMatchObject({ message: expect.stringContaining('NOTONE') });
  });

  test('that was damaged is named as damaged; another wrapper of the set does', async () => {
    const [{ recipient, identities }, other] = [newIdentity(), newIdentity()];
    const { key } = await wrapOne(recipient);
    const record = JSON.parse(storedText(key)) as { age: string };
    const lines = record.age.split('\n');
    lines.splice(-4, 1);
    writeFileSync(join(repository.location, key), JSON.stringify({ ...record, age: lines.join('\n') }));
    const unwrapping = unwrapKeySets(repository, { kind: 'recipient', identities });
    await expect(unwrapping).rejects.toMatchObject({ code: 'object-damaged', facts: { key } });
    await wrapOne(other.recipient);
    const both = { kind: 'recipient', identities: [...identities, ...other.identities] } as const;
    expect(await unwrapKeySets(repository, both)).toMatchObject({ sets: await setsOf() });
  });

  test('that somebody planted, who knows the recipient, is never mixed with ours: a person says which is meant', async () => {
    const { recipient, identities } = newIdentity();
    const sets = await setsOf();
    const planted = newKeySet('aes-256-gcm');
    await wrapKeySets(repository, sets, { kind: 'recipient', recipient });
    await wrapKeySets(repository, [planted], { kind: 'recipient', recipient });
    const opener = { kind: 'recipient', identities } as const;
    await expect(unwrapKeySets(repository, opener)).rejects.toMatchObject({
      code: 'usage',
      hint: expect.stringContaining(planted.id),
    });
    expect(await unwrapKeySets(repository, opener, { keyId: sets[0].id })).toEqual({ sets, closed: [planted.id] });
    await expect(unwrapKeySets(repository, opener, { keyId: 'key-1-00000000' })).rejects.toMatchObject({
      code: 'usage',
    });
  });

  test('under the name of another key set is refused', async () => {
    const { recipient, identities } = newIdentity();
    const [set] = await setsOf();
    const other = newKeySet('aes-256-gcm');
    const record = {
      formatVersion: 1,
      keyId: other.id,
      kind: 'recipient',
      recipient,
      wrappedAt: new Date().toISOString(),
      age: await wrapText(keyFileText([set]), { kind: 'recipient', recipient }),
    };
    await repository.store.create(wrapperKey(other.id, 'recipient-00000000'), bytesOf(JSON.stringify(record)));
    await expect(unwrapKeySets(repository, { kind: 'recipient', identities })).rejects.toMatchObject({
      code: 'object-damaged',
    });
  });
});

test('a write-only copy is not wrapped: it would look like a way back and be none', async () => {
  const copy = join(tempDir('keys'), 'write.key');
  await writeRecipientFile(file, copy);
  await expect(wrapKeySets(repository, await setsOf(copy), byPassphrase)).rejects.toMatchObject({
    code: 'key-write-only',
  });
  expect(await listWrappers(repository)).toEqual([]);
});

test('what opens is the key it was: a repository without wrappers, or with strange files, has none', async () => {
  await expect(unwrapKeySets(repository, byPassphrase)).rejects.toMatchObject({ code: 'key-missing' });
  await repository.store.create('keys/eras/0001-pg15-1.json', bytesOf('{}')); // of a cluster that is called keys
  expect(await listWrappers(repository)).toEqual([]);
  await rotateKeyFile(file, 'aes-128-cbc');
  const { recipient, identities } = newIdentity();
  await wrapOne(recipient);
  const { sets } = await unwrapKeySets(repository, { kind: 'recipient', identities });
  const back = join(tempDir('keys'), 'back.key');
  writeFileSync(back, keyFileText(sets), { mode: 0o600 });
  expect((await readKeyFile(back)).all).toEqual((await readKeyFile(file)).all);
});
