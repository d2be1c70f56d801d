import { describe, expect, test } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import { placeHold, releaseHold } from '../../repository/holds.ts';
import { takeOwnership } from '../../repository/owner.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { era, keysUnder, cluster as name } from '../repository/support.ts';
import { storeWith } from '../support/store-with.ts';
import { expire, left, openStage, prove, range, type Stage, withStoreOf } from './support.ts';

describe('an expire that was interrupted', () => {
  test('a deletion that broke off is not ended once its backup is the newest proven one, until a newer one is', async () => {
    const stage = await openStage({ last: 1 }, { days: 4 });
    const third = stage.backups[2]!.id;
    await prove(stage, 1, 5);
    const held = await dieBehindTheTombstone(stage, third);
    await prove(stage, 3, 13);
    await releaseHold(stage.cluster.repository, held);

    const done = await expire(stage);
    expect(done).toMatchObject({ outcome: 'done', error: null });
    expect(done.notes.join()).toMatch(
      /^The deletion of backup \S+-00000003 had been interrupted, and drill \S+ has proven/,
    );
    expect(await keysUnder(stage.cluster.repository, `${name}/${era}/base/${third}`)).toHaveLength(3);
    expect(await left(stage)).toEqual({ days: [1, 4], wal: [3, 4, 5, ...range(9, 14)] });

    await prove(stage, 4, 14);
    expect((await expire(stage)).notes.join()).toMatch(
      /^The deletion of backup \S+, which had been interrupted, was ended/,
    );
    expect(await keysUnder(stage.cluster.repository, `${name}/${era}/base/${third}`)).toEqual([]);
    expect(await left(stage)).toEqual({ days: [4], wal: [12, 13, 14] });
  });

  test('a tombstone that another expire withdraws meanwhile fails no run', async () => {
    const stage = await openStage({ last: 1 }, { days: 4 });
    await dieBehindTheTombstone(stage, stage.backups[2]!.id);
    const { store } = stage.cluster.repository;
    const withdrawing = storeWith(store, {
      read: async (key, options) => {
        if (key.includes(`${stage.backups[2]!.id}.`) && key.endsWith('.deleted.json')) await store.remove(key);
        return store.read(key, options);
      },
    });
    expect(await expire(withStoreOf(stage, withdrawing))).toMatchObject({ outcome: 'done', error: null });
  });
});

describe('an expire while another fleet takes the cluster', () => {
  test.each([
    ['its backups are deleted', 'reports/', range(1, 4)],
    ['its WAL is cut', `${era}/base/`, [4]],
  ])('it stops before %s', async (_, moment, days) => {
    const stage = await openStage({ last: 1 }, { days: 4 });
    const { repository, keys } = stage.cluster;
    const { store } = repository;
    const writer = { name, fleet: 'lab', host: 'db-8', keys };
    let isTaken = false;
    const taking = storeWith(store, {
      list: async function* (prefix, options) {
        if (prefix.startsWith(`${name}/${moment}`) && !isTaken) {
          isTaken = true;
          await takeOwnership(repository, { writer, reason: null });
        }
        yield* store.list(prefix, options);
      },
    });
    const done = await expire(withStoreOf(stage, taking));
    expect(done).toMatchObject({ outcome: 'failed', error: { code: 'owner-other' } });
    expect(await left(stage)).toEqual({ days, wal: range(3, 14) });
  });
});

/** A drill comes to hold the backup just when its deleter is killed, between tombstone and second look. @returns the drill's hold. */
async function dieBehindTheTombstone(stage: Stage, id: string) {
  const { repository } = stage.cluster;
  const { store } = repository;
  let isDead = false;
  const order = { cluster: name, operation: 'drill', by: 'db-7', reason: null, seconds: 86_400 } as const;
  const held = { id: '20261121T100000Z-drill-00000001', cluster: name, by: 'db-7' };
  const alive = <T>(act: () => T): T => {
    if (isDead) throw new PgproofError('store-unreachable', 'killed');
    return act();
  };
  const dying: ObjectStore = {
    read: async (...args) => alive(() => store.read(...args)),
    list: (...args) => alive(() => store.list(...args)),
    remove: async (...args) => alive(() => store.remove(...args)),
    create: async (key, ...rest) => {
      const isTombstone = key.includes(`/${id}.`) && key.endsWith('.deleted.json');
      if (isTombstone) await placeHold(repository, { ...order, id: held.id, needs: [{ era, backups: [id], wal: [] }] });
      const created = await alive(() => store.create(key, ...rest));
      isDead = isTombstone;
      return created;
    },
  };
  expect(await expire(withStoreOf(stage, dying))).toMatchObject({ outcome: 'failed', error: { message: 'killed' } });
  return held;
}
