import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyFileText, openKeyFile, readKeyFile } from '../../repository/key-file.ts';
import { writeRecipientFile } from '../../repository/key-rotate.ts';
import { newKeySet } from '../../repository/key-set.ts';
import { wrapKeySets } from '../../repository/wrappers.ts';
import { alternate } from '../support/postgres.ts';
import { tempDir } from '../support/temp.ts';
import { type Copy, copyOf, look, offsiteOf, openVerifyStage, type VerifyStage } from './support.ts';

const [major] = alternate(1) as [string];
let stage: VerifyStage;

beforeAll(async () => {
  stage = await openVerifyStage(major, 'chacha20-poly1305');
});
afterAll(() => stage.dispose());

const keyFile = () => join(stage.folder, 'main.key');
/** As a host sees it that has the recipient, and not the identity. */
async function asWriteOnly(copy: Copy): Promise<Copy> {
  const file = join(tempDir('keys'), 'write.key');
  await writeRecipientFile(keyFile(), file);
  const keys = await readKeyFile(file);
  return { ...copy, cluster: { ...copy.cluster, keys, walKeys: keys } };
}

test('a host that can only write compares bytes with the signed records, and says that it read no more', async () => {
  const found = await look(await asWriteOnly(await copyOf(stage)));
  expect(found).toMatchObject({ verdict: 'passed', complete: true, unread: [] });
  expect(found.readBytes).toBe(found.bytes);
  expect(found.notes).toEqual([expect.stringMatching(/no key that opens them.*tags of WAL were not checked/)]);
});

test('it finds a damaged part; damaged WAL only a host with the key does', async () => {
  const copy = await copyOf(stage);
  const [part, wal] = [copy.partOf(stage.second.id), copy.walKeyOf(copy.segments().at(-1) as string)];
  copy.flip(part);
  copy.flip(wal);
  const objects = async (seen: Copy) => (await look(seen)).findings.map(({ object }) => object);
  expect(await objects(await asWriteOnly(copy))).toEqual([part]);
  expect(await objects(copy)).toEqual([part, wal]);
});

test('it repairs a part, and leaves WAL to a host that can check it', async () => {
  const offsite = await offsiteOf(stage);
  const copy = await copyOf(stage, [offsite.cluster.repository]);
  const part = copy.partOf(stage.second.id);
  copy.flip(part);
  copy.remove(copy.walKeyOf(copy.segments().at(-2) as string));
  const { findings } = await look(await asWriteOnly(copy), { repair: true });
  expect(findings).toMatchObject([
    { object: part, repair: { outcome: 'repaired' } },
    { kind: 'missing', repair: { outcome: 'failed', detail: expect.stringContaining('no key that opens it') } },
  ]);
});

test('--restore there is refused by name, and makes it inconclusive', async () => {
  const found = await look(await asWriteOnly(await copyOf(stage)), { restore: true });
  expect(found).toMatchObject({
    verdict: 'inconclusive',
    verdictReason: expect.stringContaining('this host can only write'),
  });
});

test('a host without the key of a backup proves nothing about it', async () => {
  const copy = await copyOf(stage);
  const keys = await readKeyFile(join(stage.folder, 'main.key'));
  const without = { ...keys, find: () => undefined };
  const found = await look({ cluster: { ...copy.cluster, keys: without } });
  expect(found.verdict).toBe('inconclusive');
  expect(found.unread.map(({ object }) => object)).toEqual(copy.keys(/\/backups\//));
});

test('WAL of a key set that is not at hand is not called damaged, and nothing is replaced for it', async () => {
  const offsite = await offsiteOf(stage);
  const copy = await copyOf(stage, [offsite.cluster.repository]);
  const { keySets } = (await openKeyFile(keyFile())).document;
  const file = join(tempDir('keys'), 'other.key');
  const other = newKeySet('chacha20-poly1305', keySets[0].identityKey);
  writeFileSync(file, keyFileText([other]), { mode: 0o600 });
  const keys = await readKeyFile(file);
  const found = await look({ ...copy, cluster: { ...copy.cluster, keys, walKeys: keys } }, { repair: true });
  expect(found).toMatchObject({ verdict: 'inconclusive', findings: [] });
  expect(found.unread.map(({ object }) => object)).toEqual(copy.keys(/\/backups\/|\/wal\//));
  expect((await look(copy)).verdict).toBe('passed');
});

test('a wrapped key set that was changed is named, and healed from another repository', async () => {
  const offsite = await offsiteOf(stage);
  const copy = await copyOf(stage, [offsite.cluster.repository]);
  const { keySets } = (await openKeyFile(keyFile())).document;
  const identity = join(tempDir('age'), 'identity');
  execFileSync('age-keygen', ['-o', identity], { stdio: 'ignore' });
  const recipient = execFileSync('age-keygen', ['-y', identity]).toString().trim();
  const wrap = ({ cluster }: Copy) => wrapKeySets(cluster.repository, keySets, { kind: 'recipient', recipient });
  const { key: object } = await wrap(copy);
  await wrap(offsite);
  copy.truncate(object, 20);
  expect((await look(copy)).findings).toMatchObject([{ object, kind: 'damaged' }]);
  const healed = await look(copy, { repair: true });
  expect(healed).toMatchObject({ verdict: 'passed', findings: [{ object, repair: { outcome: 'repaired' } }] });
});
