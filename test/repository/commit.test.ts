import { renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listBackups } from '../../repository/catalogue.ts';
import { commitBackup, reapLeftovers } from '../../repository/commit.ts';
import { readKeyFile } from '../../repository/key-file.ts';
import { rotateKeyFile } from '../../repository/key-rotate.ts';
import { noKeys } from '../../repository/keys.ts';
import { backupKey, backupPrefix, basePrefix, tombstoneKey } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import { backupShelf } from '../../repository/shelf.ts';
import { faulty } from '../../storage/fault.ts';
import type { ObjectStore } from '../../storage/store.ts';
import {
  bytesOf,
  cluster,
  era,
  idOf,
  keysUnder,
  newKeyFile,
  newRepository,
  putEra,
  putParts,
  recordOf,
} from './support.ts';

const id = idOf(1);
const parts = basePrefix(cluster, era, id);
const tombstone = (reason: string) =>
  bytesOf(JSON.stringify({ formatVersion: 1, id, deletedAt: '2026-11-20T15:00:00.000Z', reason }));

async function copied(): Promise<Repository> {
  const repository = await newRepository();
  await putEra(repository);
  await putParts(repository, id);
  return repository;
}

const commit = (repository: Repository) => commitBackup(repository, noKeys, recordOf(id));
const reap = (repository: Repository, except: string[] = []) =>
  reapLeftovers(repository, backupShelf(cluster, era), { except });
const listed = async (repository: Repository) =>
  (await listBackups(repository, noKeys, cluster)).map((entry) => `${entry.id} ${entry.state}`);

test('a backup exists from its commit file on, and committing it again succeeds', async () => {
  const repository = await copied();
  expect(await listed(repository)).toEqual([]);
  const record = await commit(repository);
  expect(await commit(repository)).toEqual(record);
  expect(await listed(repository)).toEqual([`${id} whole`]);
  const other = commitBackup(repository, noKeys, recordOf(id, { stopLsn: '0/3000000' }));
  await expect(other).rejects.toMatchObject({ code: 'object-exists' });
});

test('a commit whose answer was lost is repeated', async () => {
  const repository = await copied();
  const store = faulty(repository.store, [{ on: 'create', fault: { kind: 'lose-answer' }, times: 1 }]);
  await expect(commit({ ...repository, store })).rejects.toMatchObject({ code: 'store-unreachable' });
  await commit({ ...repository, store });
  expect(await listed(repository)).toEqual([`${id} whole`]);
});

test('a commit is repeated after the key was rotated: who sealed the backup signs it', async () => {
  const repository = await copied();
  const file = await newKeyFile();
  const keys = await readKeyFile(file);
  const pending = recordOf(id, { keyId: keys.current?.id ?? null });
  const record = await commitBackup(repository, keys, pending);
  await rotateKeyFile(file);
  expect(await commitBackup(repository, await readKeyFile(file), pending)).toEqual(record);
});

test('leftovers are removed, a tombstone stays, and what is at work or committed is left alone', async () => {
  const repository = await copied();
  await putParts(repository, idOf(2));
  await commitBackup(repository, noKeys, recordOf(idOf(2)));
  await putParts(repository, idOf(3));
  expect(await reap(repository, [idOf(3)])).toEqual([id]);
  expect(await keysUnder(repository, parts)).toEqual([]);
  expect(await keysUnder(repository, basePrefix(cluster, era, idOf(2)))).toHaveLength(3);
  expect(await keysUnder(repository, basePrefix(cluster, era, idOf(3)))).toHaveLength(3);
  expect(await keysUnder(repository, `${cluster}/${era}/backups/${id}.`)).toHaveLength(1);
  expect(await reap(repository, [idOf(3)])).toEqual([]);
});

test('a backup whose commit file no listing shows is left alone: somebody made a link of its folder', async () => {
  const repository = await copied();
  await commit(repository);
  const folder = join(repository.location, cluster, era, 'backups');
  renameSync(folder, `${folder}-elsewhere`);
  symlinkSync(`${folder}-elsewhere`, folder);
  expect(await reap(repository)).toEqual([]);
  expect(await keysUnder(repository, parts)).toHaveLength(3);
  rmSync(folder);
  renameSync(`${folder}-elsewhere`, folder);
  expect(await listed(repository)).toEqual([`${id} whole`]);
});

test('a superseded attempt cannot commit once its parts may be gone', async () => {
  const repository = await copied();
  await reap(repository);
  await expect(commit(repository)).rejects.toMatchObject({ code: 'backup-deleted', permanent: true });
  expect(await listed(repository)).toEqual([]);
  expect(await keysUnder(repository, backupKey(cluster, era, id))).toEqual([]);
});

test('a deletion that was interrupted is finished by the next', async () => {
  const repository = await copied();
  const store = faulty(repository.store, [
    { on: 'remove', key: /pgdata\.2/, fault: { kind: 'fail', error: new Error('killed') }, times: 1 },
  ]);
  await expect(reap({ ...repository, store })).rejects.toThrow('killed');
  expect(await keysUnder(repository, parts)).toHaveLength(1);
  expect(await reap(repository)).toEqual([id]);
  expect(await keysUnder(repository, parts)).toEqual([]);
});

test('scenario 2: a commit file that appears while a reaper looks wins, and nothing of it is deleted', async () => {
  const repository = await copied();
  const racing = interleaved(repository.store, { after: 'create', key: /deleted\.json$/ }, async () => {
    await repository.store.create(
      backupKey(cluster, era, id),
      bytesOf(JSON.stringify({ ...recordOf(id), signature: null })),
    );
  });
  expect(await reap({ ...repository, store: racing })).toEqual([]);
  expect(await keysUnder(repository, parts)).toHaveLength(3);
  expect(await listed(repository)).toEqual([`${id} whole`]);
});

test('a tombstone of another is not relied on: its writer may withdraw it', async () => {
  // A wrote its tombstone and is slow. B reaps and deletes. Now the zombie commits; A sees the commit file and withdraws.
  const repository = await copied();
  const theirs = tombstoneKey(backupPrefix(cluster, era), id, '0000000a');
  await repository.store.create(theirs, tombstone('never committed'));
  expect(await reap(repository)).toEqual([id]);
  await repository.store.remove(theirs);
  await expect(commit(repository)).rejects.toMatchObject({ code: 'backup-deleted' });
  expect(await listed(repository)).toEqual([]);
});

test('an expired backup is gone from the list though its commit file is there', async () => {
  const repository = await copied();
  await commit(repository);
  await repository.store.create(tombstoneKey(backupPrefix(cluster, era), id, '0000000e'), tombstone('expired'));
  expect(await listed(repository)).toEqual([]);
});

test('a backup that was marked as a leftover while it was being committed is shown, kept, and used by nobody', async () => {
  const repository = await copied();
  await commit(repository);
  await repository.store.create(tombstoneKey(backupPrefix(cluster, era), id, '0000000b'), tombstone('never committed'));
  expect(await listed(repository)).toEqual([`${id} damaged`]);
  expect(await reap(repository)).toEqual([]);
  expect(await keysUnder(repository, parts)).toHaveLength(3);
  for (const key of await keysUnder(repository, parts)) await repository.store.remove(key);
  await reap(repository); // nothing is left that it could restore
  expect(await keysUnder(repository, backupKey(cluster, era, id))).toEqual([]);
});

describe('a reaper and a commit, stopped at each other in every way', () => {
  const moments = ['list', 'create', 'remove'] as const;
  for (const after of moments) {
    for (const nth of [1, 2, 3]) {
      test(`the commit runs after the reaper's ${after} number ${nth}: whole and listed, or failed and not listed`, async () => {
        const repository = await copied();
        let outcome = 'never ran';
        const racing = interleaved(repository.store, { after, nth }, async () => {
          outcome = await commit(repository).then(
            () => 'done',
            (error: { code: string }) => error.code,
          );
        });
        await reap({ ...repository, store: racing });
        await reap(repository);
        await expectConsistent(repository, outcome);
      });

      test(`the reaper runs after the commit's ${after} number ${nth}: whole and listed, or failed and not listed`, async () => {
        const repository = await copied();
        let reaped: string[] = [];
        const racing = interleaved(repository.store, { after, nth }, async () => {
          reaped = await reap(repository);
        });
        const outcome = await commit({ ...repository, store: racing }).then(
          () => 'done',
          (error: { code: string }) => error.code,
        );
        expect(['done', 'backup-deleted']).toContain(outcome);
        if (reaped.length > 0) expect(outcome).toBe('backup-deleted');
        await expectConsistent(repository, outcome);
      });
    }
  }
});

async function expectConsistent(repository: Repository, outcome: string): Promise<void> {
  const entries = await listed(repository);
  const whole = entries.includes(`${id} whole`);
  if (outcome === 'done') expect(whole).toBe(true);
  if (whole) expect(await keysUnder(repository, parts)).toHaveLength(3);
  if (outcome === 'never ran' || outcome === 'backup-deleted') expect(whole && outcome === 'never ran').toBe(false);
}

type Moment = { after: 'list' | 'create' | 'remove'; key?: RegExp; nth?: number };

/** The store, with something else happening right after one of its calls. */
function interleaved(store: ObjectStore, { after, key = /./, nth = 1 }: Moment, act: () => Promise<void>): ObjectStore {
  let calls = 0;
  const then = async (operation: string, at: string) => {
    if (operation !== after || !key.test(at)) return;
    calls += 1;
    if (calls === nth) await act();
  };
  return {
    create: async (at, body, options) => {
      const created = await store.create(at, body, options);
      await then('create', at);
      return created;
    },
    read: (at, options) => store.read(at, options),
    list: async function* (prefix, options) {
      yield* store.list(prefix, options);
      await then('list', prefix);
    },
    remove: async (at, options) => {
      await store.remove(at, options);
      await then('remove', at);
    },
  };
}
