import { expect, test } from 'vitest';
import { findBackup, listBackups } from '../../repository/catalogue.ts';
import { commitBackup } from '../../repository/commit.ts';
import { canonicalBytes } from '../../repository/document.ts';
import { type KeyRing, keyRing, noKeys } from '../../repository/keys.ts';
import { backupKey } from '../../repository/layout.ts';
import type { BackupRecord } from '../../repository/record.ts';
import type { Repository } from '../../repository/repository.ts';
import { faulty } from '../../storage/fault.ts';
import { bytesOf, cluster, era, idOf, newKeys, newRepository, putEra, recordOf } from './support.ts';

async function openRepository(): Promise<Repository> {
  const repository = await newRepository();
  await putEra(repository);
  return repository;
}

const put = (repository: Repository, keys: KeyRing, number: number, changes: Partial<BackupRecord> = {}) =>
  commitBackup(repository, keys, recordOf(idOf(number), changes));

/** Writes the commit file of `id` as somebody would who can write to the store and has no key. */
async function forge(repository: Repository, id: string, record: object): Promise<void> {
  const key = backupKey(cluster, era, id);
  await repository.store.remove(key);
  await repository.store.create(key, canonicalBytes(record));
}

test('backups are ordered by era, timeline and stop LSN, never by name or clock', async () => {
  const repository = await openRepository();
  const second = '0002-pg16-7400000000000000002';
  await putEra(repository, { era: second, systemId: '7400000000000000002', major: 16 });
  const inSecond = { ...recordOf(idOf(1)), era: second };
  const moved = JSON.parse(JSON.stringify(inSecond).replaceAll(`/${era}/`, `/${second}/`)) as typeof inSecond;
  await commitBackup(repository, noKeys, moved);
  await put(repository, noKeys, 5, { stopLsn: '0/9000000' });
  await put(repository, noKeys, 2, { stopLsn: 'A/0' });
  await put(repository, noKeys, 3, { stopLsn: '0/5000000', timeline: 2 });
  await put(repository, noKeys, 4, { stopLsn: '10/0' });
  const ids = (await listBackups(repository, noKeys, cluster)).map(({ id }) => id);
  expect(ids).toEqual([idOf(5), idOf(2), idOf(4), idOf(3), idOf(1)]);
});

test('a backup is found by its id or a beginning that only one has', async () => {
  const repository = await openRepository();
  await put(repository, noKeys, 1);
  await put(repository, noKeys, 2);
  const find = (prefix: string) => findBackup(repository, noKeys, cluster, prefix);
  expect((await find(idOf(2))).id).toBe(idOf(2));
  expect((await find(idOf(2).slice(0, 15))).id).toBe(idOf(2));
  await expect(find('2026')).rejects.toMatchObject({
    code: 'backup-ambiguous',
    facts: { fitting: [idOf(1), idOf(2)] },
  });
  await expect(find('')).rejects.toMatchObject({ code: 'backup-missing' });
  await expect(find('2027')).rejects.toMatchObject({ code: 'backup-missing', hint: 'See: pgproof list shop' });
});

test('scenario 12: a commit file that was changed, cut or swapped is shown as damaged and never used', async () => {
  const keys = await newKeys();
  const repository = await openRepository();
  const signed = await put(repository, keys, 1);
  const changed = { ...signed, stopLsn: '0/2000100' };
  const forgeries: [string, object | string, string][] = [
    ['changed', changed, 'signature-invalid'],
    ['with a field added', { ...signed, added: true }, 'signature-invalid'],
    ['unsigned', { ...changed, signature: null }, 'signature-invalid'],
    ['of another backup', { ...signed, id: idOf(2) }, 'signature-invalid'],
    ['newer', { ...signed, formatVersion: 2 }, 'repository-format'],
    ['no record', { hello: 'world' }, 'record-invalid'],
    ['signed by another key', { ...signed, signature: { ...signed.signature, keyId: 'key-x' } }, 'key-missing'],
  ];
  for (const [what, record, code] of forgeries) {
    await forge(repository, idOf(1), record as object);
    const [entry] = await listBackups(repository, keys, cluster);
    expect(entry, what).toMatchObject({ id: idOf(1), state: 'damaged', error: { code } });
    await expect(findBackup(repository, keys, cluster, idOf(1)), what).rejects.toMatchObject({ code });
  }
  await repository.store.remove(backupKey(cluster, era, idOf(1)));
  await repository.store.create(backupKey(cluster, era, idOf(1)), bytesOf('{"formatVersion":1,'));
  expect(await listBackups(repository, keys, cluster)).toMatchObject([
    { state: 'damaged', error: { code: 'record-invalid' } },
  ]);
});

test('a true record under the name of another backup, or with parts outside its folder, is refused', async () => {
  const keys = await newKeys();
  const repository = await openRepository();
  const signed = await put(repository, keys, 1);
  await forge(repository, idOf(2), signed);
  const stray = recordOf(idOf(3), {
    manifest: { ...recordOf(idOf(3)).manifest, key: `${cluster}/${era}/base/other/m` },
  });
  await commitBackup(repository, keys, stray);
  const entries = await listBackups(repository, keys, cluster);
  expect(entries.map(({ id, state }) => [id, state])).toEqual([
    [idOf(1), 'whole'],
    [idOf(2), 'damaged'],
    [idOf(3), 'damaged'],
  ]);
});

test('records signed before a rotation are still believed; a field this version does not know is signed, too', async () => {
  const [old, fresh] = [await newKeys(), await newKeys()];
  const repository = await openRepository();
  await put(repository, old, 1);
  const rotated = keyRing([fresh.current!, old.current!]);
  expect(await listBackups(repository, rotated, cluster)).toMatchObject([{ state: 'whole' }]);
});

test('without a key, records are not signed, and a signed one still needs its key', async () => {
  const repository = await openRepository();
  expect((await put(repository, noKeys, 1)).signature).toBeNull();
  await put(repository, await newKeys(), 2);
  expect(await listBackups(repository, noKeys, cluster)).toMatchObject([
    { id: idOf(1), state: 'whole' },
    { id: idOf(2), state: 'damaged', error: { code: 'key-missing' } },
  ]);
});

test('a store that does not answer says nothing about a backup', async () => {
  const repository = await openRepository();
  await put(repository, noKeys, 1);
  for (const on of ['read', 'list'] as const) {
    const store = faulty(repository.store, [{ on, key: /backups/, fault: { kind: 'fail' } }]);
    await expect(listBackups({ ...repository, store }, noKeys, cluster)).rejects.toMatchObject({
      code: 'store-unreachable',
    });
  }
});
