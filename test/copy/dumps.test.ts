import { beforeEach, expect, test } from 'vitest';
import { listDumps } from '../../repository/dumps.ts';
import { listHolds } from '../../repository/holds.ts';
import { dumpKey, dumpPartPrefix, dumpPrefix, tombstoneKey } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { noise } from '../codec/support.ts';
import { dumpIdOf, putDump } from '../dumps/support.ts';
import { bytesOf, cluster, keysUnder, newKeys } from '../repository/support.ts';
import { contentOf, copy, flip, interleaved, keyOf, newPlace, recording, type Two, through } from './support.ts';

/*
 * A cluster that has dumps only, as small ones do: no era was ever declared. That dumps go beside backups and WAL is seen in
 * test/dumps.
 */

const [older, newer] = [dumpIdOf(1), dumpIdOf(2)] as const;

let two: Two;
beforeEach(async () => {
  const keys = await newKeys();
  two = { keys, from: await newPlace('near'), to: await newPlace('far') };
  await putDump(two.from, keys, older, noise(400_000, 1));
  await putDump(two.from, keys, newer, noise(300_000, 2), {
    globals: bytesOf('CREATE ROLE x;\n') as Buffer,
    partBytes: 150_000,
  });
});

const tombstone = (id: string) =>
  bytesOf(JSON.stringify({ formatVersion: 1, id, deletedAt: '2026-11-23T15:00:00.000Z', reason: 'expired' }));
const bury = (store: ObjectStore, id: string) =>
  store.create(tombstoneKey(dumpPrefix(cluster), id, '0000000e'), tombstone(id)).then(() => undefined);
const listed = async (repository: Repository) =>
  (await listDumps(repository, two.keys, cluster)).map(({ id, state }) => `${id} ${state}`);

test('dumps are copied as stored, the newest first, each behind its parts, and nothing twice', async () => {
  const order: string[] = [];
  const to = through(two.to, recording(two.to.store, order));
  expect(await copy({ ...two, to })).toMatchObject({
    ...{ outcome: 'complete', dumps: [newer, older], backups: [], error: null },
    lag: { dumps: 0, reason: 'no era is declared in the source' },
  });
  expect(await contentOf(two.to)).toEqual(await contentOf(two.from));
  const sent = order.filter((key) => key.includes('/dumps/'));
  const at = (key: string) => sent.indexOf(key);
  expect(at(dumpKey(cluster, newer))).toBe((await keysUnder(two.from, dumpPartPrefix(cluster, newer))).length);
  expect(at(dumpKey(cluster, older))).toBe(sent.length - 1);
  expect(await listHolds(two.from, cluster)).toEqual([]);
  expect(await copy(two)).toMatchObject({ outcome: 'complete', copied: { objects: 0 }, dumps: [] });
});

test('a dump that was deleted in the source is not copied, and one that was deleted in the copy is not brought back', async () => {
  await copy(two);
  await bury(two.to.store, older);
  await two.to.store.remove(dumpKey(cluster, older));
  const again = await copy(two);
  expect(again).toMatchObject({ outcome: 'complete', dumps: [], lag: { dumps: 0 } });
  expect(again.notes).toEqual([`Dump ${older} was deleted in far and is not copied there again.`]);
  await bury(two.from.store, newer);
  const fresh = await newPlace('fresh');
  expect(await copy({ ...two, to: fresh })).toMatchObject({ outcome: 'complete', dumps: [older] });
  expect(await keysUnder(fresh, dumpPartPrefix(cluster, newer))).toEqual([]);
});

test.each([
  ['its parts', /d12\/dump\.custom\.1/],
  ['its commit file', /dumps\/.*d12\.json/],
])('a dump that is deleted in the source while %s is copied does not exist in the copy', async (_, moment) => {
  const store = interleaved(two.to.store, moment, () => bury(two.from.store, newer));
  const result = await copy({ ...two, to: through(two.to, store) });
  expect(result).toMatchObject({ outcome: 'complete', dumps: [older], refused: [] });
  expect(result.notes).toContain(
    `Dump ${newer} was deleted in near while it was copied, and does not exist in the copy.`,
  );
  expect(await listed(two.to)).toEqual([`${older} whole`]);
});

test('a dump whose part is damaged is named and does not exist in the copy; the other one is copied', async () => {
  const key = await keyOf(two.from, /d12\/dump\.custom\.2/);
  flip(`${two.from.location}/${key}`);
  const result = await copy(two);
  expect(result).toMatchObject({ outcome: 'incomplete', dumps: [older], lag: { dumps: 1 } });
  expect(result.refused.map(({ key, code }) => `${key.split('/').at(-1)} ${code}`)).toEqual([
    'dump.custom.2.zst.enc object-damaged',
    `${newer}.json backup-unverified`,
  ]);
  expect(await listed(two.to)).toEqual([`${older} whole`]);
});

test('a dump that lost a part in the copy gets it again', async () => {
  await copy(two);
  await two.to.store.remove(await keyOf(two.to, /d12\/globals/));
  expect(await copy(two)).toMatchObject({ outcome: 'complete', copied: { objects: 1 }, dumps: [] });
  expect(await contentOf(two.to)).toEqual(await contentOf(two.from));
});
