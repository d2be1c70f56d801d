import { beforeEach, describe, expect, test } from 'vitest';
import { segmentName } from '../../core/segment.ts';
import { reapLeftovers } from '../../repository/commit.ts';
import { backupKey, backupPrefix, cutKey, tombstoneKey } from '../../repository/layout.ts';
import { backupShelf } from '../../repository/shelf.ts';
import { putSegment } from '../../repository/wal.ts';
import { faulty } from '../../storage/fault.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { bytesOf, cluster, era } from '../repository/support.ts';
import {
  backups,
  contentOf,
  copy,
  interleaved,
  listed,
  newPlace,
  openTwo,
  segmentBytes,
  type Two,
  through,
} from './support.ts';

let two: Two;
beforeEach(async () => {
  two = await openTwo();
});

describe('deletions', () => {
  const tombstone = (id: string, reason: string) =>
    bytesOf(JSON.stringify({ formatVersion: 1, id, deletedAt: '2026-11-20T15:00:00.000Z', reason }));
  const bury = (store: ObjectStore, id: string, reason = 'expired') =>
    store.create(tombstoneKey(backupPrefix(cluster, era), id, '0000000e'), tombstone(id, reason)).then(() => undefined);

  test('what was deleted in the source is not copied, and what was deleted in the copy stays deleted', async () => {
    await bury(two.from.store, backups[0]);
    await bury(two.to.store, backups[1]);
    const result = await copy(two);
    expect(result).toMatchObject({ outcome: 'complete', backups: [], lag: { backups: 0 } });
    expect(result.notes).toEqual([`Backup ${backups[1]} was deleted in far and is not copied there again.`]);
    expect(Object.keys(await contentOf(two.to)).some((key) => key.includes('/base/'))).toBe(false);
  });

  test('WAL that expired in the source before it was copied is told, because points in that stretch are lost to the copy', async () => {
    expect((await copy(two)).notes).toEqual([]);
    const later = (number: number) => segmentName(2, BigInt(number), segmentBytes);
    for (let number = 8; number <= 12; number += 1)
      await putSegment(two.from, two.keys, cluster, era, later(number), bytesOf(`${number}`));
    const cut = { formatVersion: 1, id: '20261120T150000Z-expire-00000001', cutAt: '2026-11-20T15:00:00.000Z' };
    const ranges = [1, 2].map((timeline) => ({ timeline, from: '0/0', to: '0/B00000' }));
    await two.from.store.create(
      cutKey(cluster, era, cut.id),
      bytesOf(JSON.stringify({ ...cut, reason: 'expired', ranges })),
    );
    for await (const { key } of two.from.store.list(`${cluster}/${era}/wal/`))
      if (key.slice(key.lastIndexOf('/') + 17) < '0000000B') await two.from.store.remove(key);
    const told = await copy(two);
    expect(told).toMatchObject({ outcome: 'complete' });
    expect(told.notes).toEqual([
      `WAL ${later(8)} to ${later(10)} (3 segments) expired in near, and far has no copy of it: points in that stretch cannot be restored from far.`,
    ]);
    const fresh = await copy({ ...two, to: await newPlace('fresh') });
    expect(fresh.notes).toEqual([]); // it never had what lies before
  });

  test.each([
    ['its parts', /c12\/pgdata\.1/],
    ['its commit file', /backups\/.*c12\.json/],
  ])('a backup that is deleted in the source while %s is copied does not exist in the copy', async (_, moment) => {
    const store = interleaved(two.to.store, moment, () => bury(two.from.store, backups[1]));
    const result = await copy({ ...two, to: through(two.to, store) });
    expect(result).toMatchObject({ outcome: 'complete', backups: [backups[0]], lag: { backups: 0 } });
    expect(result.notes).toEqual([
      `Backup ${backups[1]} was deleted in near while it was copied, and does not exist in the copy.`,
    ]);
    expect(await listed(two.to, two.keys)).toEqual([backups[0]]);
  });

  test('parts that disappear with a backup that is deleted are nothing to be alarmed about', async () => {
    const store = interleaved(two.to.store, /c12\/pgdata\.1/, async () => {
      await bury(two.from.store, backups[1]);
      for await (const { key } of two.from.store.list(`${cluster}/${era}/base/${backups[1]}/`))
        await two.from.store.remove(key);
    });
    const result = await copy({ ...two, to: through(two.to, store) }, { parallel: 1 });
    expect(result).toMatchObject({ outcome: 'complete', refused: [] });
    expect(await listed(two.to, two.keys)).toEqual([backups[0]]);
  });

  test('a backup that clears leftovers away in the target leaves those of a copy alone, which exists in the source', async () => {
    const reap = async (): Promise<void> => {
      const options = { except: [], elsewhere: [two.from] };
      expect(await reapLeftovers(two.to, backupShelf(cluster, era), options)).toEqual([]);
      const dead = faulty(two.from.store, [{ on: 'list', fault: { kind: 'fail' } }]);
      const unasked = { except: [], elsewhere: [through(two.from, dead)] };
      expect(await reapLeftovers(two.to, backupShelf(cluster, era), unasked)).toEqual([]);
    };
    const store = interleaved(two.to.store, /c12\/pgdata\.1/, reap);
    expect(await copy({ ...two, to: through(two.to, store) })).toMatchObject({ outcome: 'complete' });
    expect(await listed(two.to, two.keys)).toEqual(backups);
  });

  test('parts that a reaper takes for leftovers while they are copied make no backup: that is said', async () => {
    const store = interleaved(two.to.store, /c12\/pgdata\.1/, () => bury(two.to.store, backups[1], 'never committed'));
    const to = through(two.to, store);
    for (const attempt of [await copy({ ...two, to }), await copy(two)]) {
      expect(attempt).toMatchObject({ outcome: 'incomplete' });
      expect(attempt.refused).toMatchObject([{ key: backupKey(cluster, era, backups[1]), code: 'backup-deleted' }]);
    }
    expect(await listed(two.to, two.keys)).toEqual([backups[0]]);
  });
});
