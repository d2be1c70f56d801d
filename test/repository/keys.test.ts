import { createPublicKey } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ciphers } from '../../codec/sealing.ts';
import { declareEra } from '../../repository/eras.ts';
import { generateKeyFile, readKeyFile, rereadKeys } from '../../repository/key-file.ts';
import { assertKeyFits } from '../../repository/key-fit.ts';
import { rotateKeyFile, writeRecipientFile } from '../../repository/key-rotate.ts';
import type { KeySetDocument } from '../../repository/key-set.ts';
import { assertReads, keyRing, noKeys, sealingFor, sealingOf } from '../../repository/keys.ts';
import { signRecord, verifySignature } from '../../repository/sign.ts';
import { tempDir } from '../support/temp.ts';
import { both, cluster, eraFacts, idOf, newKeyFile, newKeys, newRepository, putEra, recordOf } from './support.ts';

const keyPath = () => join(tempDir('keys'), 'deep', 'main.key');

test('a key file is made once, only for its owner, and read back', async () => {
  const path = keyPath();
  const made = await generateKeyFile(path);
  expect(made.path).toBe(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const keys = await readKeyFile(path);
  expect(keys.current).toMatchObject({ id: made.keyId, cipher: 'aes-256-gcm' });
  expect(keys.find(made.keyId)).toBe(keys.current);
  const before = readFileSync(path);
  await expect(generateKeyFile(path)).rejects.toMatchObject({ code: 'key-file-exists' });
  expect(readFileSync(path)).toEqual(before);
});

test('a key file that others can read is refused, with its mode and what to do', async () => {
  const path = keyPath();
  await generateKeyFile(path);
  for (const mode of [0o640, 0o604, 0o620, 0o601]) {
    chmodSync(path, mode);
    await expect(readKeyFile(path)).rejects.toMatchObject({
      code: 'key-file-open',
      message: expect.stringContaining(`0${mode.toString(8)}`),
      hint: `Run: chmod 600 ${path}`,
    });
  }
});

test('a key file that is absent or not one is named, and nothing in it is quoted', async () => {
  const path = keyPath();
  await expect(readKeyFile(path)).rejects.toMatchObject({ code: 'key-file-missing', facts: { path } });
  await generateKeyFile(path);
  const document = JSON.parse(readFileSync(path, 'utf8')) as { keySets: Record<string, string>[] };
  const [keySet] = document.keySets as [Record<string, string>];
  const secrets = [keySet.dataKey, keySet.identityKey, keySet.signingKey] as string[];
  const broken = [
    '',
    '{',
    JSON.stringify({ ...document, formatVersion: 2 }),
    JSON.stringify({ ...document, keySets: [] }),
    JSON.stringify({ ...document, keySets: [{ ...keySet, dataKey: `${keySet.dataKey}AAAA` }] }),
    JSON.stringify({ ...document, keySets: [{ ...keySet, signingKey: keySet.dataKey }] }),
    JSON.stringify({ ...document, keySets: [keySet, keySet] }),
    `${JSON.stringify(document)}x`,
  ];
  for (const text of broken) {
    writeFileSync(path, text);
    const error = (await readKeyFile(path).catch((thrown: unknown) => thrown)) as {
      code: string;
      stack: string;
      cause?: unknown;
    };
    expect(error.code).toBe('key-file-invalid');
    const said = `${error.stack} ${JSON.stringify(error)} ${error.cause}`;
    for (const secret of secrets) expect(said).not.toContain(secret);
  }
});

test('scenario 28: objects of a key that is not at hand are named before anything is downloaded', async () => {
  const keys = await newKeys();
  const other = await newKeys();
  const { id } = keys.current!;
  expect(sealingOf({ keyId: id }, keys)).toEqual(sealingFor(keys));
  expect(sealingOf({ keyId: null }, keys)).toEqual({ cipher: 'none' });
  expect(sealingOf({ keyId: id }, keyRing([other.current!, keys.current!]))).toEqual(sealingFor(keys));
  for (const ring of [noKeys, other]) {
    expect(() => sealingOf({ keyId: id }, ring)).toThrow(
      expect.objectContaining({ code: 'key-missing', facts: expect.objectContaining({ keyId: id }) }),
    );
  }
});

test('scenario 28: a cluster is opened only with the key that its era was declared with', async () => {
  const repository = await newRepository();
  const keys = await newKeys();
  const other = await newKeys();
  await assertKeyFits(repository, both(other), cluster); // nothing is there yet
  await declareEra(repository, both(keys), cluster, eraFacts);
  await assertKeyFits(repository, both(keys), cluster);
  await assertKeyFits(repository, both(keyRing([other.current!, keys.current!])), cluster);
  await expect(assertKeyFits(repository, both(other), cluster)).rejects.toMatchObject({ code: 'key-wrong' });
  await expect(assertKeyFits(repository, both(noKeys), cluster)).rejects.toMatchObject({ code: 'key-missing' });
  await declareEra(repository, both(noKeys), 'open', eraFacts);
  await expect(assertKeyFits(repository, both(keys), 'open')).rejects.toMatchObject({ code: 'key-wrong' });
});

describe('a rotation', () => {
  test('adds a set in front with new data and signing keys, keeps the others as they were, and the identity key', async () => {
    const file = await newKeyFile();
    const before = await readKeyFile(file);
    const made = [await rotateKeyFile(file), await rotateKeyFile(file, 'chacha20-poly1305'), await rotateKeyFile(file)];
    const after = await readKeyFile(file);
    expect(after.all.map(({ id }) => id)).toEqual([...made.map(({ keyId }) => keyId).reverse(), before.current!.id]);
    expect(after.all.map(({ cipher }) => cipher)).toEqual([
      'chacha20-poly1305',
      'chacha20-poly1305',
      'aes-256-gcm',
      'aes-256-gcm',
    ]);
    expect(after.all.at(-1)).toEqual(before.current);
    for (const { identityKey } of after.all) expect(identityKey).toEqual(before.identityKey);
    expect(new Set(after.all.map(({ sealing }) => JSON.stringify(sealing))).size).toBe(4);
    expect(new Set(after.all.map(({ verifyKey }) => verifyKey.export({ type: 'spki', format: 'pem' }))).size).toBe(4);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(dirname(file))).toEqual(['main.key']);
  });

  test('through a link changes the file it leads to', async () => {
    const file = await newKeyFile();
    const link = join(tempDir('keys'), 'link.key');
    symlinkSync(file, link);
    const { keyId } = await rotateKeyFile(link);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect((await readKeyFile(file)).current?.id).toBe(keyId);
  });

  test('beside another one loses no set: one of them waits for its turn or is told to', async () => {
    const file = await newKeyFile();
    const rotations = await Promise.allSettled(Array.from({ length: 8 }, () => rotateKeyFile(file)));
    const made = rotations.flatMap((one) => (one.status === 'fulfilled' ? [one.value.keyId] : []));
    for (const one of rotations) {
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'key-file-busy' });
    }
    expect(made.length).toBeGreaterThan(0);
    const ids = (await readKeyFile(file)).all.map(({ id }) => id);
    expect(ids.length).toBe(made.length + 1);
    expect(ids).toEqual(expect.arrayContaining(made));
  });

  test('removes what one that was killed left beside the file, and nothing else', async () => {
    const file = await newKeyFile();
    for (const name of ['0a1b2c3d.tmp', 'bak', '0a1b2c3d.tmp.bak']) writeFileSync(`${file}.${name}`, 'secret');
    await rotateKeyFile(file);
    expect(readdirSync(dirname(file)).sort()).toEqual(['main.key', 'main.key.0a1b2c3d.tmp.bak', 'main.key.bak']);
  });

  test('in a folder that this user may not write changes nothing, and says so', async () => {
    const file = await newKeyFile();
    const before = readFileSync(file);
    chmodSync(dirname(file), 0o500);
    const error = await rotateKeyFile(file).catch((thrown: unknown) => thrown);
    chmodSync(dirname(file), 0o700);
    expect(error).toMatchObject({ code: 'file-unwritable', facts: { errno: 'EACCES' } });
    expect(readFileSync(file)).toEqual(before);
  });

  test('is seen by whoever reads the keys again; a file that is no rotation of them is refused', async () => {
    const file = await newKeyFile();
    const keys = await readKeyFile(file);
    expect(await rereadKeys(keys)).toBe(keys);
    const { keyId } = await rotateKeyFile(file);
    const rotated = await rereadKeys(keys);
    expect(rotated.current?.id).toBe(keyId);
    expect(await rereadKeys(rotated)).toBe(rotated);
    copyFileSync(await newKeyFile(), file);
    await expect(rereadKeys(keys)).rejects.toMatchObject({ code: 'key-wrong' });
    unlinkSync(file);
    await expect(rereadKeys(keys)).rejects.toMatchObject({ code: 'key-file-missing' });
  });
});

describe('a write-only copy', () => {
  const documentOf = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as { keySets: Record<string, string>[] };

  test('holds no secret that opens anything, of any key set', async () => {
    const file = await newKeyFile();
    await rotateKeyFile(file, 'aes-256-cbc');
    await rotateKeyFile(file, 'chacha20-poly1305');
    await rotateKeyFile(file, 'chacha20-poly1305');
    const copy = join(tempDir('keys'), 'write.key');
    await writeRecipientFile(file, copy);
    const [newest, ...older] = documentOf(file).keySets;
    const text = readFileSync(copy, 'utf8');
    const secrets = [newest, ...older].flatMap((set) => [set?.dataKey, set?.identity]);
    for (const secret of secrets) if (secret !== undefined) expect(text).not.toContain(secret);
    for (const set of older) expect(text).not.toContain(set.signingKey);
    expect(statSync(copy).mode & 0o777).toBe(0o600);
  });

  test('seals, signs and tags as the whole one; what needs to read is refused by name', async () => {
    const file = await newKeyFile('chacha20-poly1305');
    const copy = join(tempDir('keys'), 'write.key');
    await writeRecipientFile(file, copy);
    const [whole, writing] = [await readKeyFile(file), await readKeyFile(copy)];
    const { id } = writing.current!;
    expect(id).toBe(whole.current?.id);
    expect(sealingFor(writing)).toMatchObject({ cipher: 'chacha20-poly1305' });
    expect(writing.identityKey).toEqual(whole.identityKey);
    const record = signRecord(recordOf(idOf(1), { keyId: id }), writing);
    expect(() => verifySignature({ ...record }, record, whole)).not.toThrow();
    expect(() => verifySignature({ ...record }, record, writing)).not.toThrow();
    expect(() => sealingOf({ keyId: id }, writing)).toThrow(expect.objectContaining({ code: 'key-write-only' }));
    expect(() => assertReads(both(writing))).toThrow(expect.objectContaining({ code: 'key-write-only' }));
    expect(() => assertReads({ keys: whole, walKeys: writing })).toThrow(
      expect.objectContaining({ code: 'key-write-only', facts: { keyId: id } }),
    );
    expect(() => assertReads(both(whole))).not.toThrow();
  });

  test('still checks what older key sets signed, and is a rotation of the copy before', async () => {
    const file = await newKeyFile('chacha20-poly1305');
    const copies = tempDir('keys');
    await writeRecipientFile(file, join(copies, '1.key'));
    const old = await readKeyFile(file);
    await rotateKeyFile(file);
    await writeRecipientFile(file, join(copies, '2.key'));
    const signed = signRecord(recordOf(idOf(1)), old);
    const writing = await readKeyFile(join(copies, '1.key'));
    renameSync(join(copies, '2.key'), join(copies, '1.key'));
    const fresh = await rereadKeys(writing);
    expect(fresh.all.length).toBe(2);
    expect(() => verifySignature({ ...signed }, signed, fresh)).not.toThrow();
    expect(() => sealingOf({ keyId: old.current!.id }, fresh)).toThrow(
      expect.objectContaining({ code: 'key-write-only' }),
    );
  });

  test('is not made of a key whose cipher has one secret for both, nor rotated itself', async () => {
    const copy = join(tempDir('keys'), 'write.key');
    for (const cipher of ciphers.filter((one) => one !== 'chacha20-poly1305')) {
      await expect(writeRecipientFile(await newKeyFile(cipher), copy)).rejects.toMatchObject({ code: 'key-wrong' });
    }
    await writeRecipientFile(await newKeyFile('chacha20-poly1305'), copy);
    await expect(rotateKeyFile(copy)).rejects.toMatchObject({ code: 'key-write-only' });
  });
});

test('a key file whose parts do not belong together is refused, and never taken for no key', async () => {
  const file = await newKeyFile('chacha20-poly1305');
  const other = JSON.parse(readFileSync(await newKeyFile('chacha20-poly1305'), 'utf8')) as {
    keySets: KeySetDocument[];
  };
  const [set, foreign] = [
    (JSON.parse(readFileSync(file, 'utf8')) as { keySets: KeySetDocument[] }).keySets[0]!,
    other.keySets[0]!,
  ];
  const { signingKey: _, ...unsigned } = set;
  const broken: [string, object[]][] = [
    ['identityKey', [set, foreign]],
    ['keySets.0.identity', [{ ...set, identity: foreign.identity }]],
    ['keySets.0.recipient', [{ ...set, recipient: undefined }]],
    ['keySets.0.recipient', [{ ...set, recipient: `${set.recipient}x` }]],
    ['keySets.0.dataKey', [{ ...set, cipher: 'aes-256-gcm' }]],
    ['keySets.0.verifyKey', [unsigned]],
    ['keySets.0.cipher', [{ ...set, cipher: 'rot13' }]],
  ];
  for (const [at, keySets] of broken) {
    writeFileSync(file, JSON.stringify({ formatVersion: 1, keySets }));
    await expect(readKeyFile(file), at).rejects.toMatchObject({ code: 'key-file-invalid', facts: { at } });
  }
  const verifyKey = createPublicKey({
    key: Buffer.from(set.signingKey!, 'base64'),
    type: 'pkcs8',
    format: 'der',
  } as never);
  const spki = verifyKey.export({ type: 'spki', format: 'der' }).toString('base64');
  writeFileSync(file, JSON.stringify({ formatVersion: 1, keySets: [{ ...unsigned, verifyKey: spki }] }));
  await expect(readKeyFile(file)).rejects.toMatchObject({ code: 'key-file-invalid' });
});

test('a cluster whose WAL has a key of its own is opened only with both', async () => {
  const repository = await newRepository();
  const [keys, walKeys] = [await newKeys(), await newKeys('chacha20-poly1305')];
  await declareEra(repository, { keys, walKeys }, cluster, eraFacts);
  await assertKeyFits(repository, { keys, walKeys }, cluster);
  await expect(assertKeyFits(repository, both(keys), cluster)).rejects.toMatchObject({
    code: 'key-wrong',
    hint: expect.stringContaining('walKey'),
  });
  await expect(assertKeyFits(repository, both(walKeys), cluster)).rejects.toMatchObject({ code: 'key-wrong' });
  await putEra(repository, { era: '0002-pg15-7400000000000000001', keyId: keys.current!.id });
  await assertKeyFits(repository, both(keys), cluster); // declared before there were two
  await expect(assertKeyFits(repository, { keys, walKeys }, cluster)).rejects.toMatchObject({ code: 'key-wrong' });
});
