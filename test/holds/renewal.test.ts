import { afterEach, expect, test, vi } from 'vitest';
import { commitBackup } from '../../repository/commit.ts';
import { bury } from '../../repository/delete.ts';
import {
  type Held,
  heldSeconds,
  holdInEach,
  keepingHeld,
  letGo,
  releaseEarlier,
  whileHeld,
} from '../../repository/held.ts';
import { listHolds } from '../../repository/holds.ts';
import { noKeys } from '../../repository/keys.ts';
import type { Repository } from '../../repository/repository.ts';
import { backupShelf } from '../../repository/shelf.ts';
import { cluster, era, idOf, newRepository, putEra, putParts, recordOf } from '../repository/support.ts';
import { until } from '../support/stage.ts';

const id = idOf(1);
const { signal } = new AbortController();
const needs = { needs: [{ era, backups: [id], wal: [] }] };
const began = Date.now();

afterEach(() => void vi.useRealTimers());

/** As if a host had slept, or somebody had set its clock. */
const afterSeconds = (seconds: number) => {
  vi.useRealTimers();
  vi.useFakeTimers({ toFake: ['Date'], now: began + seconds * 1000 });
};

async function withBackup(): Promise<Repository> {
  const repository = await newRepository();
  await putEra(repository);
  await putParts(repository, id);
  await commitBackup(repository, noKeys, recordOf(id));
  return repository;
}

const holderOf = (repository: Repository, host = 'db-7') => ({ name: cluster, host, repositories: [repository] });
const hold = (repository: Repository, reason = 'plan 1', host?: string): Promise<Held> =>
  holdInEach(holderOf(repository, host), { operation: 'restore', reason, seconds: heldSeconds }, needs, { signal });
const expire = async (repository: Repository) =>
  (await bury(repository, backupShelf(cluster, era), [{ id, reason: 'retention' }], { now: new Date() })).get(id);
const idsHeld = async (repository: Repository) => (await listHolds(repository, cluster)).map((each) => each.id);

test('what takes longer than a hold is held anew all the while, and by nothing when it is done', async () => {
  const repository = await withBackup();
  const held = await hold(repository);
  const [first] = await idsHeld(repository);
  await keepingHeld(held, async () => {
    for (const days of [1.5, 3, 4.5]) {
      const [before] = await idsHeld(repository);
      afterSeconds(days * 86_400);
      await until(async () => !(await idsHeld(repository)).includes(before as string));
      expect(await expire(repository)).toMatchObject({ outcome: 'held', holds: [{ reason: 'plan 1', by: 'db-7' }] });
    }
  });
  expect(await idsHeld(repository)).not.toContain(first);
  await letGo(held);
  expect(held.notes).toEqual([]);
  expect(await idsHeld(repository)).toEqual([]);
});

test('a hold that ended while its host slept, and was gone by then, is said', async () => {
  const repository = await withBackup();
  const held = await hold(repository);
  const { notes } = await whileHeld(holderOf(repository), held, [], async () => {
    afterSeconds(heldSeconds + 7200);
    expect(await expire(repository)).toMatchObject({ outcome: 'deleted' });
    await until(() => held.notes.length > 0);
    return { notes: [] };
  });
  expect(notes).toEqual([expect.stringMatching(/^Hold .* ended before it could be renewed \(backup .* is being/)]);
  expect(await idsHeld(repository)).toEqual([]);
});

test('who comes after one that was killed releases what that one held, and what no other holds', async () => {
  const repository = await withBackup();
  await hold(repository);
  const others = [await hold(repository, 'plan 2'), await hold(repository, 'plan 1', 'db-8')];
  const mine = await hold(repository);
  await releaseEarlier(holderOf(repository), { operation: 'restore', reason: 'plan 1' }, mine);
  const kept = [...others, mine].map(({ holds }) => holds[0]?.hold.id);
  expect((await idsHeld(repository)).sort()).toEqual(kept.sort());
});
