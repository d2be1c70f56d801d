import { afterEach, describe, expect, test, vi } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import { runId } from '../../core/ids.ts';
import { formatLsn } from '../../core/lsn.ts';
import { placeHold, releaseHold } from '../../repository/holds.ts';
import { backupKey, holdKey, reportKey } from '../../repository/layout.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { verifyRepository } from '../../verify/repository.ts';
import { copy, interleaved, newPlace } from '../copy/support.ts';
import { bytesOf, era, keysUnder, cluster as name } from '../repository/support.ts';
import { quietRun } from '../support/run.ts';
import { storeWith } from '../support/store-with.ts';
import {
  clusterOf,
  dayMs,
  expire,
  left,
  openStage,
  prove,
  range,
  type Stage,
  segmentBytes,
  withStoreOf,
} from './support.ts';

afterEach(() => {
  vi.useRealTimers();
});

const all = { days: range(1, 10), wal: range(3, 32) };

async function place(stage: Stage, day: number, seconds = 3 * 86_400) {
  const { id, startLsn } = stage.backups[day - 1]!;
  const needs = [
    {
      era,
      backups: [id],
      wal: [{ timeline: 1, from: startLsn as never, to: formatLsn(BigInt((day * 3 + 3) * segmentBytes)) }],
    },
  ];
  const held = runId(new Date(), 'plan', day.toString(16).padStart(8, '0'));
  const order = { id: held, cluster: name, operation: 'plan', by: 'db-7', reason: null, seconds } as const;
  return placeHold(stage.cluster.repository, { ...order, needs });
}

describe('expire', () => {
  test('deletes what the rules keep no longer, and the WAL that nothing needs; again, it finds nothing to do', async () => {
    const stage = await openStage({ window: '3d' });
    const dry = await expire(stage, { dryRun: true });
    expect(dry).toMatchObject({ outcome: 'planned', deletedBackups: 6, wal: [{ segments: 18, stays: 12 }] });
    expect(await left(stage)).toEqual(all);
    expect(await keysUnder(stage.cluster.repository, `${name}/owner/`)).toEqual([]);

    const done = await expire(stage);
    expect(done).toMatchObject({
      outcome: 'done',
      error: null,
      deletedBackups: 6,
      wal: [{ segments: 18, stays: 12, cuts: [{ timeline: 1, from: '0/300000', to: '0/1500000' }] }],
    });
    expect(done.kept.at(-1)?.reasons.map(({ rule }) => rule)).toEqual(['minimum', 'window']);
    expect(done.kept[0]?.reasons[0]?.because).toMatch(/^the one before 2/);
    expect(await left(stage)).toEqual({ days: range(7, 10), wal: range(21, 32) });
    expect(await keysUnder(stage.cluster.repository, `${name}/${era}/base/${stage.backups[0]!.id}`)).toEqual([]);

    expect(await expire(stage)).toMatchObject({ outcome: 'done', deletedBackups: 0, wal: [{ segments: 0 }] });
    expect(await left(stage)).toEqual({ days: range(7, 10), wal: range(21, 32) });
  });

  test('without a rule nothing is ever deleted', async () => {
    const stage = await openStage({});
    expect(await expire(stage)).toMatchObject({ outcome: 'done', deletedBackups: 0 });
    expect(await left(stage)).toEqual(all);
  });

  test('scenario 36: WAL that a kept backup needs stays, and so do expired parents of kept increments', async () => {
    const stage = await openStage({ window: '2d', weekly: 2 }, { parents: { 9: 2, 2: 1 } });
    await expire(stage);
    const { days, wal } = await left(stage);
    expect(days).toEqual(expect.arrayContaining([1, 2, 8, 9, 10]));
    for (const day of days) expect(wal).toEqual(expect.arrayContaining([day * 3, day * 3 + 1]));
    expect(wal).toEqual(expect.arrayContaining(range(24, 32)));
    expect(wal).not.toContain(5);
  });

  test('scenario 36: the newest proven backup stays, and WAL up to the target of its drill', async () => {
    const stage = await openStage({ window: '2d' });
    await prove(stage, 1, 5);
    await prove(stage, 3, 16);
    const done = await expire(stage);
    expect(await left(stage)).toEqual({ days: [3, 8, 9, 10], wal: [...range(9, 16), ...range(24, 32)] });
    expect(done.notes.join()).toMatch(/stay only because nothing newer of era .* was proven since/);
    expect(await missingIn(stage)).toEqual([]);
  });

  test('a proof whose report does not say how far it came keeps all WAL since', async () => {
    const stage = await openStage({ window: '2d' });
    await prove(stage, 3, null);
    await expire(stage);
    expect(await left(stage)).toEqual({ days: [3, 8, 9, 10], wal: range(9, 32) });
  });

  test.each([
    ['a drill report', (stage: Stage) => reportKey(name, `20261101T000000Z-drill-0000000${stage.backups.length % 10}`)],
    ['a hold', () => holdKey(name, '20261101T000000Z-plan-00000001')],
  ])('%s that cannot be read deletes nothing', async (_, key) => {
    const stage = await openStage({ window: '2d' });
    await stage.cluster.repository.store.create(key(stage), bytesOf('{"formatVersion": 1'));
    expect(await expire(stage)).toMatchObject({ outcome: 'failed', error: { code: 'record-invalid' } });
    expect(await left(stage)).toEqual(all);
  });

  test('a backup whose record cannot be read stays, and so does all WAL of the era: nobody knows what it needs', async () => {
    const stage = await openStage({ window: '2d' });
    const key = backupKey(name, era, stage.backups[3]!.id);
    await stage.cluster.repository.store.remove(key);
    await stage.cluster.repository.store.create(key, bytesOf('{"formatVersion": 1'));
    const done = await expire(stage);
    expect(done.wal[0]?.stayed).toBe(`nobody knows which WAL the damaged backup ${stage.backups[3]!.id} needs`);
    expect(await left(stage)).toEqual({ days: [8, 9, 10, -1], wal: range(3, 32) });
  });

  test('more than half is refused until a person confirms it', async () => {
    const stage = await openStage({ last: 2 });
    const refused = await expire(stage, { confirmed: false });
    expect(refused).toMatchObject({ outcome: 'refused', refusals: ['8 of 10 backups would go, more than half'] });
    expect(await left(stage)).toEqual(all);
    expect(await expire(stage)).toMatchObject({ outcome: 'done', deletedBackups: 8 });
  });

  test('scenario 38: the clock jumps a year ahead: nothing more goes than the day before', async () => {
    const stage = await openStage({ window: '6d' });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 365 * dayMs });
    const done = await expire(stage, { confirmed: false });
    expect(done).toMatchObject({ outcome: 'done', deletedBackups: 3 });
    expect((await left(stage)).days).toEqual(range(4, 10));
  });

  test('scenario 38: the clock falls a year behind: nothing goes unless a person confirms it', async () => {
    const stage = await openStage({ window: '6d', daily: 7 });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 365 * dayMs });
    const refused = await expire(stage, { confirmed: false });
    expect(refused.refusals.concat(refused.deletedBackups === 0 ? ['the clock cannot be right'] : [])[0]).toMatch(
      /^the clock cannot be right/,
    );
    expect(await left(stage)).toEqual(all);
  });

  test('scenario 37: what a restore plan of two days ago needs stays until it is released', async () => {
    const stage = await openStage({ window: '2d' });
    const hold = await place(stage, 4);
    const done = await expire(stage);
    expect(done.error).toBeNull();
    expect(await left(stage)).toEqual({ days: [4, 8, 9, 10], wal: [...range(12, 14), ...range(24, 32)] });
    expect(done.kept[0]?.reasons[0]).toMatchObject({ rule: 'hold' });
    await releaseHold(stage.cluster.repository, hold);
    expect(await expire(stage)).toMatchObject({ deletedBackups: 1, endedHolds: 1 });
    expect(await left(stage)).toEqual({ days: [8, 9, 10], wal: range(24, 32) });
    expect(await keysUnder(stage.cluster.repository, `${name}/holds/`)).toEqual([]);
  });

  test('scenario 37: a plan that is made in the midst of an expire is refused, or what it needs stays', async () => {
    for (const moment of [/\.deleted\.json$/, /\/cuts\//]) {
      const stage = await openStage({ window: '2d' });
      let placed: unknown = null;
      const store = interleaved(stage.cluster.repository.store, moment, async () => {
        placed = await place(stage, 4).catch((error: unknown) => error);
      });
      await expire(withStoreOf(stage, store));
      const { days, wal } = await left(stage);
      const isThere = days.includes(4) && [12, 13, 14].every((number) => wal.includes(number));
      expect(isThere || (placed instanceof PgproofError && placed.code === 'backup-deleted'), String(moment)).toBe(
        true,
      );
    }
  });

  test('scenario 37: what a drill has proven in the midst of an expire stays, whenever it ends', async () => {
    for (const isReportedFirst of [true, false]) {
      const stage = await openStage({ last: 1 }, { days: 4 });
      const { store } = stage.cluster.repository;
      const hold = await place(stage, 3);
      let listings = 0;
      const ending = storeWith(store, {
        list: async function* (prefix, options) {
          const isBehindTheReports = prefix === `${name}/holds/` && ++listings === 2;
          if (isBehindTheReports && isReportedFirst) await prove(stage, 3, 12);
          if (isBehindTheReports) await releaseHold(stage.cluster.repository, hold);
          yield* store.list(prefix, options);
        },
      });
      await expire(withStoreOf(stage, ending));
      if (!isReportedFirst) await prove(stage, 3, 12);
      await expire(stage);
      expect(await left(stage), String(isReportedFirst)).toEqual({ days: [3, 4], wal: range(9, 14) });
    }
  });

  test('scenario 16: what the store keeps under a lock is told as retained, and goes when the lock has ended', async () => {
    const stage = await openStage({ window: '2d' });
    const { store } = stage.cluster.repository;
    const isLocked = (key: string) =>
      key.includes(`/base/${stage.backups[1]!.id}/pgdata.1`) || key.includes('/000000010000000000000010-');
    const locked = storeWith(store, {
      remove: async (key, options) => {
        if (isLocked(key))
          throw new PgproofError('object-retained', `'${key}' is retained by the store until 2027 and was kept`);
        return store.remove(key, options);
      },
    });
    const done = await expire(withStoreOf(stage, locked));
    expect(done).toMatchObject({
      outcome: 'done',
      error: null,
      deletedBackups: 6,
      wal: [{ segments: 18, retained: 1 }],
    });
    expect(done.deleted.filter(({ outcome }) => outcome === 'retained').map(({ id }) => id)).toEqual([
      stage.backups[1]!.id,
    ]);
    expect((await left(stage)).days).toEqual([8, 9, 10]);
    expect(await expire(withStoreOf(stage, locked))).toMatchObject({
      outcome: 'done',
      wal: [{ segments: 0, retained: 1 }],
    });
    expect(await keysUnder(stage.cluster.repository, `${name}/${era}/cuts/`)).toHaveLength(1);
    const after = await expire(stage);
    expect(after.notes.join()).toMatch(/had been interrupted, was ended/);
    expect(await left(stage)).toEqual({ days: [8, 9, 10], wal: range(24, 32) });
    expect(await keysUnder(stage.cluster.repository, `${name}/${era}/base/${stage.backups[1]!.id}`)).toEqual([]);
  });

  test('killed at any removal, the next run ends it, and in between nothing is listed that is not whole', async () => {
    for (const at of [1, 2, 5, 9, 14]) {
      const stage = await openStage({ window: '2d' }, { days: 6 });
      await expire(withStoreOf(stage, dyingAt(stage.cluster.repository.store, at)));
      expect(await missingIn(stage), `removal ${at}`).toEqual([]);
      await expire(stage);
      expect(await left(stage), `removal ${at}`).toEqual({ days: [4, 5, 6], wal: range(12, 20) });
    }
  });

  test('scenario 37: an expire in the target takes nothing that a copy is about to bring, nor its WAL', async () => {
    const stage = await openStage({ daily: 10 }, { days: 6 });
    const { repository: from, keys } = stage.cluster;
    const to = await newPlace('far');
    const far = { ...stage, cluster: clusterOf(to, keys, { daily: 10 }) };
    const fifth = new RegExp(`/backups/${stage.backups[4]!.id}\\.json$`);
    const store = interleaved(to.store, fifth, async () => {
      expect(await expire(far)).toMatchObject({ outcome: 'done', deletedBackups: 0 });
    });
    expect(await copy({ keys, from, to: { ...to, store } })).toMatchObject({ outcome: 'complete' });
    expect(await left(far)).toEqual({ days: range(1, 6), wal: range(3, 20) });
    expect(await expire(far)).toMatchObject({ outcome: 'done', endedHolds: 1 });
    expect((await left(far)).days).toEqual(range(1, 6));
  });

  test('what a copy that broke off has begun to bring is held until the next one', async () => {
    const stage = await openStage({ daily: 10 }, { days: 4 });
    const { repository: from, keys } = stage.cluster;
    const to = await newPlace('far');
    const far = { ...stage, cluster: clusterOf(to, keys, { daily: 10 }) };
    let isAway = false;
    const third = new RegExp(`/backups/${stage.backups[2]!.id}\\.json$`);
    const store = interleaved(to.store, third, async () => {
      isAway = true;
    });
    const breaking: ObjectStore = {
      ...store,
      list: (...args) => {
        if (isAway) throw new PgproofError('store-unreachable', 'it went away');
        return store.list(...args);
      },
    };
    expect(await copy({ keys, from, to: { ...to, store: breaking } })).not.toMatchObject({ outcome: 'complete' });
    await expire(far);
    expect(await copy({ keys, from, to })).toMatchObject({ outcome: 'complete', lag: { segments: 0 } });
    expect(await left(far)).toEqual({ days: range(1, 4), wal: range(3, 14) });
  });

  test('scenario 36: a proof is in a copy before the backup that it proves', async () => {
    const stage = await openStage({ last: 2 }, { days: 6 });
    await prove(stage, 2, 8);
    await expire(stage);
    const { repository: from, keys } = stage.cluster;
    const to = await newPlace('far');
    let reports: string[] = [];
    const proven = new RegExp(`/backups/${stage.backups[1]!.id}\\.json$`);
    const store = interleaved(to.store, proven, async () => {
      reports = await keysUnder(to, `${name}/reports/`);
    });
    await copy({ keys, from, to: { ...to, store } });
    expect(reports).toHaveLength(1);
  });

  test('what expired in a copy is not brought back, and the copy is not behind', async () => {
    const stage = await openStage({ window: '9d' });
    const { repository: from, keys } = stage.cluster;
    const to = await newPlace('far');
    await copy({ keys, from, to });
    const far = {
      ...stage,
      cluster: {
        ...stage.cluster,
        repository: to,
        repositories: [to],
        config: (await openStage({ window: '2d' }, { days: 1 })).cluster.config,
      },
    };
    expect(await expire(far)).toMatchObject({ outcome: 'done', deletedBackups: 7 });
    const again = await copy({ keys, from, to });
    expect(again).toMatchObject({
      outcome: 'complete',
      backups: [],
      copied: { objects: 0 },
      lag: { segments: 0, backups: 0 },
    });
    expect(await left(far)).toEqual({ days: [8, 9, 10], wal: range(24, 32) });
    expect(await missingIn(far)).toEqual([]);
  });
});

/** What verify misses. The parts of these backups are no archives, and that is no matter here. */
async function missingIn({ cluster }: Pick<Stage, 'cluster'>): Promise<string[]> {
  const options = { share: 0.01, restore: false, backup: null, repair: false };
  const { findings } = await verifyRepository(cluster, options, [], quietRun(), { pauseMs: 0 });
  return findings.filter(({ kind }) => kind === 'missing').map(({ object }) => object);
}

/** The process dies at its so manieth removal. */
function dyingAt(store: ObjectStore, removal: number): ObjectStore {
  let removals = 0;
  return storeWith(store, {
    create: async (...args) => {
      if (removals >= removal) throw new PgproofError('store-unreachable', 'killed');
      return store.create(...args);
    },
    remove: async (...args) => {
      removals += 1;
      if (removals >= removal) throw new PgproofError('store-unreachable', 'killed');
      return store.remove(...args);
    },
  });
}
