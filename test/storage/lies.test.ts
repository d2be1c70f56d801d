import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listBackups } from '../../repository/catalogue.ts';
import { commitBackup, reapLeftovers } from '../../repository/commit.ts';
import { listEras } from '../../repository/eras.ts';
import type { KeyRing } from '../../repository/keys.ts';
import { backupKey, basePrefix, eraKey, walPrefix } from '../../repository/layout.ts';
import type { BackupRecord } from '../../repository/record.ts';
import type { Repository } from '../../repository/repository.ts';
import { backupShelf } from '../../repository/shelf.ts';
import { putSegment, readSegment } from '../../repository/wal.ts';
import { startRestore } from '../../restore/start.ts';
import { readBytes } from '../../storage/bytes.ts';
import { type Fault, type FaultPlan, faulty } from '../../storage/fault.ts';
import { readFrontier } from '../../wal/frontier.ts';
import { shipOnce } from '../../wal/shipper.ts';
import { bytesOf, cluster, era, idOf, newKeys, newRepository, putEra, recordOf } from '../repository/support.ts';
import { openRestoreStage, type RestoreStage } from '../restore/support.ts';
import { alternate } from '../support/postgres.ts';
import { withStore } from '../support/repositories.ts';
import { quietRun } from '../support/run.ts';
import { tempDir } from '../support/temp.ts';
import { type Archive, openArchive, seg, segmentOf, signal } from '../wal/support.ts';

/*
 * A store that lies, and who notices: each lie where it would otherwise become a loss. `verify` notices all of them later
 * (test/verify); here is what must be noticed before something is believed, given up or used.
 */

const lying = (repository: Repository, plan: FaultPlan): Repository => ({
  ...repository,
  store: faulty(repository.store, plan),
});

describe('WAL is put: a segment stays in the spool while the store', () => {
  let archive: Archive;
  beforeEach(async () => {
    archive = await openArchive(tempDir(), { key: true });
    archive.publish(seg(1), segmentOf(seg(1)));
  });

  test.each<[string, Fault, string]>([
    ['forgets it', { kind: 'forget' }, 'store-unreachable'],
    ['keeps only a part of it', { kind: 'truncate', bytes: 1000 }, 'object-damaged'],
    ['keeps nothing of it', { kind: 'truncate', bytes: 0 }, 'object-damaged'],
    ['lists it late', { kind: 'list-late', listings: 1 }, 'store-unreachable'],
  ])('%s, and is whole in the archive once it tells the truth', async (_, fault, code) => {
    const store = faulty(archive.cluster.repository.store, [{ on: 'create', key: /\/wal\//, fault, times: 1 }]);
    const pass = await shipOnce(withStore(archive.cluster, store), { signal });
    expect(pass).toMatchObject({ shipped: [], error: { code } });
    expect(archive.waiting()).toEqual([seg(1)]);

    expect(await shipOnce(withStore(archive.cluster, store), { signal })).toMatchObject({
      shipped: [seg(1)],
      error: null,
    });
    expect((await archive.content(seg(1))).length).toBe(1 << 20);
  });

  test('forgets one that it listed: the frontier does not pass it', async () => {
    for (const number of [2, 3]) archive.publish(seg(number), segmentOf(seg(number)));
    await shipOnce(archive.cluster, { signal });
    const plan: FaultPlan = [{ on: 'list', key: new RegExp(seg(2)), fault: { kind: 'forget' } }];
    const behind = withStore(archive.cluster, faulty(archive.cluster.repository.store, plan));
    expect(await readFrontier(behind)).toMatchObject({ lsn: '0/200000', missing: [seg(2)] });
  });
});

describe('WAL is read: a segment is never answered that the store', () => {
  let repository: Repository;
  let keys: KeyRing;
  const plain = (name: string) => segmentOf(name);
  const contents = { [seg(1)]: plain(seg(1)), [seg(2)]: plain(seg(2)) } as Record<string, Buffer>;
  const tags: Record<string, string> = {};
  beforeEach(async () => {
    repository = await newRepository();
    keys = await newKeys();
    for (const name of [seg(1), seg(2)])
      tags[name] = (await putSegment(repository, keys, cluster, era, name, contents[name] as Buffer)).tag;
  });

  const keyOf = async (name: string): Promise<string> => {
    for await (const { key } of repository.store.list(walPrefix(cluster, era))) if (key.includes(name)) return key;
    throw new Error(`no object of ${name}`);
  };

  test.each<[string, () => Promise<Fault>, string]>([
    ['forgot', async () => ({ kind: 'forget' }), 'object-missing'],
    ['cuts short', async () => ({ kind: 'truncate', bytes: 500_000 }), 'object-damaged'],
    ['empties', async () => ({ kind: 'truncate', bytes: 0 }), 'object-damaged'],
    ['flipped a bit of', async () => ({ kind: 'flip', at: 300_000 }), 'object-damaged'],
    ['flipped the first bit of', async () => ({ kind: 'flip', at: 0 }), 'object-damaged'],
    ['swapped with another', async () => ({ kind: 'swap', with: await keyOf(seg(2)) }), 'object-damaged'],
  ])('%s', async (_, fault, code) => {
    const behind = lying(repository, [{ on: 'read', key: /\/wal\//, fault: await fault() }]);
    const reading = readSegment(behind, keys, cluster, era, seg(1), tags[seg(1)] as string);
    await expect(reading).rejects.toMatchObject({ code });
  });

  test.each<[string, Fault]>([
    ['flipped a bit of', { kind: 'flip', at: 300_000 }],
    ['cut short', { kind: 'truncate', bytes: 500_000 }],
  ])('%s, and it is replaced when its source comes again', async (_, fault) => {
    const fresh = await newRepository();
    const [name, content] = [seg(1), contents[seg(1)] as Buffer];
    const bad = lying(fresh, [{ on: 'create', key: /\/wal\//, fault, times: 1 }]);
    const { tag } = await putSegment(bad, keys, cluster, era, name, content);
    await expect(readSegment(bad, keys, cluster, era, name, tag)).rejects.toMatchObject({ code: 'object-damaged' });
    expect(await putSegment(bad, keys, cluster, era, name, content)).toMatchObject({ tag, existed: false });
    expect(Buffer.compare(await readSegment(bad, keys, cluster, era, name, tag), content)).toBe(0);
  });
});

describe('a backup is committed: it is not done while the store', () => {
  let repository: Repository;
  let keys: KeyRing;
  const id = idOf(1);
  beforeEach(async () => {
    repository = await newRepository();
    keys = await newKeys();
    await putEra(repository, { keyId: keys.current?.id ?? null });
  });
  const record = (changes: Partial<BackupRecord> = {}) => recordOf(id, { keyId: keys.current?.id ?? null, ...changes });
  const listed = async (from = repository) =>
    (await listBackups(from, keys, cluster)).map((entry) =>
      `${entry.state} ${entry.state === 'damaged' ? entry.error.code : ''}`.trim(),
    );

  test.each<[string, Fault]>([
    ['forgets its commit file', { kind: 'forget' }],
    ['lists its commit file late, and so perhaps a tombstone', { kind: 'list-late', listings: 1 }],
  ])('%s', async (_, fault) => {
    const behind = lying(repository, [{ on: 'create', key: /\/backups\//, fault, times: 1 }]);
    await expect(commitBackup(behind, keys, record())).rejects.toMatchObject({
      code: 'store-unreachable',
      permanent: false,
    });
    await commitBackup(behind, keys, record());
    expect(await listed(behind)).toEqual(['whole']);
  });

  test('scenario 14: replaces objects, or says that it refuses and does not: a commit file stays what it was', async () => {
    const behind = lying(repository, [{ on: 'create', key: /\/backups\//, fault: { kind: 'replace' } }]);
    const first = await commitBackup(behind, keys, record());
    expect(await commitBackup(behind, keys, record())).toEqual(first);
    const other = commitBackup(behind, keys, record({ stopLsn: '0/3000000' }));
    await expect(other).rejects.toMatchObject({ code: 'object-exists' });
    expect(await listBackups(behind, keys, cluster)).toMatchObject([{ state: 'whole', record: first }]);
  });

  test('scenario 14: replaces objects: a reaper and a commit still see each other', async () => {
    const behind = lying(repository, [{ on: 'create', fault: { kind: 'replace' } }]);
    await behind.store.create(`${basePrefix(cluster, era, id)}pgdata.1.tar.zst`, bytesOf('part'));
    expect(await reapLeftovers(behind, backupShelf(cluster, era), { except: [] })).toEqual([id]);
    await expect(commitBackup(behind, keys, record())).rejects.toMatchObject({ code: 'backup-deleted' });
    expect(await listed(behind)).toEqual([]);
  });

  test('lists a commit file late: a reaper asks for it by name, and leaves its parts alone', async () => {
    await repository.store.create(`${basePrefix(cluster, era, id)}pgdata.1.tar.zst`, bytesOf('part'));
    await commitBackup(repository, keys, record());
    const behind = lying(repository, [
      { on: 'list', key: new RegExp(`/backups/${id}.json$`), fault: { kind: 'forget' } },
    ]);
    expect(await reapLeftovers(behind, backupShelf(cluster, era), { except: [] })).toEqual([]);
    expect(await listed()).toEqual(['whole']);
  });
});

describe('the catalogue is read: a backup is damaged, and shown, whose commit file the store', () => {
  let repository: Repository;
  let keys: KeyRing;
  beforeEach(async () => {
    repository = await newRepository();
    keys = await newKeys();
    const keyId = keys.current?.id ?? null;
    await putEra(repository, { keyId });
    for (const number of [1, 2]) await commitBackup(repository, keys, recordOf(idOf(number), { keyId }));
  });

  test.each<[string, Fault, string]>([
    ['cuts short', { kind: 'truncate', bytes: 700 }, 'record-invalid'],
    ['empties', { kind: 'truncate', bytes: 0 }, 'record-invalid'],
    ['flipped a bit of', { kind: 'flip', at: 0 }, 'record-invalid'],
    ['swapped with another', { kind: 'swap', with: backupKey(cluster, era, idOf(2)) }, 'record-invalid'],
    ['lists, and does not have', { kind: 'forget' }, 'object-missing'],
  ])('%s', async (_, fault, code) => {
    const behind = lying(repository, [{ on: 'read', key: new RegExp(`/backups/${idOf(1)}`), fault }]);
    const entries = await listBackups(behind, keys, cluster);
    expect(entries.map(({ id, state }) => `${id} ${state}`)).toEqual([`${idOf(2)} whole`, `${idOf(1)} damaged`]);
    const damaged = entries.find(({ state }) => state === 'damaged') as { error: { code: string } };
    expect(damaged.error.code).toBe(code);
  });

  test('flipped a bit of, so that it is still a record: its signature does not fit', async () => {
    const key = backupKey(cluster, era, idOf(1));
    const at = (await readBytes(repository.store, key, { maxBytes: 1 << 20 })).indexOf('15.18');
    const behind = lying(repository, [{ on: 'read', key: new RegExp(key), fault: { kind: 'flip', at } }]);
    const entries = await listBackups(behind, keys, cluster);
    expect(entries).toMatchObject([{ state: 'whole' }, { state: 'damaged', error: { code: 'signature-invalid' } }]);
  });

  test('has in place of an era: nothing is taken for that era', async () => {
    const behind = lying(repository, [
      { on: 'read', key: /\/eras\//, fault: { kind: 'swap', with: backupKey(cluster, era, idOf(1)) } },
    ]);
    await expect(listEras(behind, cluster)).rejects.toMatchObject({
      code: 'record-invalid',
      facts: { key: eraKey(cluster, era) },
    });
  });
});

describe.each(alternate(1))('a backup is fetched, PostgreSQL %s: no server is started on what the store', (major) => {
  let stage: RestoreStage;
  let backup: BackupRecord;
  beforeAll(async () => {
    stage = await openRestoreStage({ major, server: { initdbArgs: ['--wal-segsize=1'] } });
    backup = await stage.backup();
    await stage.archive();
  });
  afterAll(() => stage?.dispose());

  test.each<[string, () => Fault, string]>([
    ['forgot', () => ({ kind: 'forget' }), 'object-missing'],
    ['cuts short', () => ({ kind: 'truncate', bytes: 100_000 }), 'object-damaged'],
    ['empties', () => ({ kind: 'truncate', bytes: 0 }), 'object-damaged'],
    ['flipped a bit of', () => ({ kind: 'flip', at: 150_000 }), 'object-damaged'],
    ['swapped with another object', () => ({ kind: 'swap', with: backup.manifest.key }), 'object-damaged'],
  ])('%s', async (_, fault, code) => {
    const plan = await stage.plan('latest');
    const key = /pgdata\.1\.tar/;
    const store = faulty(stage.cluster.repository.store, [{ on: 'read', key, fault: fault() }]);
    const restoring = startRestore(withStore(stage.cluster, store), plan.id, quietRun());
    await expect(restoring).rejects.toMatchObject({ code });
  });
});
