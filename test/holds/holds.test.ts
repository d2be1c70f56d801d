import { expect, test } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import { type Hold, isInForce } from '../../core/hold.ts';
import type { Lsn } from '../../core/lsn.ts';
import type { SegmentName } from '../../core/segment.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { commitBackup } from '../../repository/commit.ts';
import { listCuts } from '../../repository/cuts.ts';
import { bury as buryThem, cutWal, unfinishedDeletions } from '../../repository/delete.ts';
import {
  holdEverything,
  listHolds,
  narrowHold,
  placeHold,
  releaseHold,
  removeEndedHolds,
} from '../../repository/holds.ts';
import { noKeys } from '../../repository/keys.ts';
import { basePrefix, cutPrefix, holdKey, holdPrefix, walKey } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import { backupShelf } from '../../repository/shelf.ts';
import { faulty } from '../../storage/fault.ts';
import {
  bytesOf,
  cluster,
  era,
  idOf,
  keysUnder,
  newRepository,
  putEra,
  putParts,
  recordOf,
} from '../repository/support.ts';

const day = 86_400;
const order = { cluster, operation: 'hand', by: 'anna@db-7', reason: 'before the upgrade', seconds: day } as const;
const inDays = (days: number) => new Date(Date.now() + days * day * 1000);
const needsOf = (...backups: string[]) => [{ era, backups, wal: [] }];
const bury = (repository: Repository, ids: string[], now = new Date()) =>
  buryThem(
    repository,
    backupShelf(cluster, era),
    ids.map((id) => ({ id, reason: 'retention' })),
    { now },
  );
const listed = async (repository: Repository) => (await listBackups(repository, noKeys, cluster)).map(({ id }) => id);

/** One committed backup each, of these numbers; an increment of its predecessor where it is negative. */
async function withBackups(...numbers: number[]): Promise<Repository> {
  const repository = await newRepository();
  await putEra(repository);
  for (const [index, number] of numbers.entries()) {
    const id = idAt(number);
    await putParts(repository, id);
    const parent = number < 0 ? idAt(numbers[index - 1] as number) : null;
    const type = number < 0 ? 'incremental' : 'full';
    await commitBackup(repository, noKeys, recordOf(id, { type, parent }));
  }
  return repository;
}

const idAt = (number: number): string => (number < 0 ? idOf(-number).replace('-full-', '-incr-') : idOf(number));

test('what is held stays as it was, and goes once the hold is released or has ended', async () => {
  const repository = await withBackups(1, 2, 3);
  const hold = await placeHold(repository, { ...order, needs: needsOf(idOf(1)) });
  await placeHold(repository, { ...order, needs: needsOf(idOf(2)) });
  const answers = await bury(repository, [idOf(1), idOf(2), idOf(3)]);
  expect(answers.get(idOf(1))).toMatchObject({
    outcome: 'held',
    holds: [{ id: hold.id, reason: 'before the upgrade' }],
  });
  expect(answers.get(idOf(3))).toMatchObject({ outcome: 'deleted', objects: 4 });
  expect(await listed(repository)).toEqual([idOf(1), idOf(2)]);
  await releaseHold(repository, hold);
  await releaseHold(repository, hold);
  expect((await bury(repository, [idOf(1), idOf(2)])).get(idOf(1))).toMatchObject({ outcome: 'deleted' });
  expect((await bury(repository, [idOf(2)], inDays(2))).get(idOf(2))).toMatchObject({ outcome: 'deleted' });
  expect(await listed(repository)).toEqual([]);
  expect(await removeEndedHolds(repository, cluster, inDays(2))).toHaveLength(2);
  expect(await keysUnder(repository, holdPrefix(cluster))).toEqual([]);
});

test('who does not know yet what is needed holds everything, and then only that', async () => {
  const repository = await withBackups(1, 2);
  const wide = await holdEverything(repository, order);
  expect((await bury(repository, [idOf(1)])).get(idOf(1))).toMatchObject({ outcome: 'held' });
  await narrowHold(repository, wide, { needs: needsOf(idOf(2)), seconds: 10 * day });
  expect((await bury(repository, [idOf(1), idOf(2)], inDays(9))).get(idOf(2))).toMatchObject({ outcome: 'held' });
  expect(await listed(repository)).toEqual([idOf(2)]);
});

test('a hold that ended while its needs were looked for is no hold any more, and says so', async () => {
  const repository = await withBackups(1);
  const hold = await holdEverything(repository, { ...order, seconds: -1 });
  const narrowing = narrowHold(repository, hold, { needs: needsOf(idOf(1)), seconds: day });
  await expect(narrowing).rejects.toMatchObject({ code: 'timeout' });
});

test('nothing is held of what is being deleted, or is not there', async () => {
  const repository = await withBackups(1, 2);
  await bury(repository, [idOf(1)]);
  const placing = placeHold(repository, { ...order, needs: needsOf(idOf(1), idOf(2)) });
  await expect(placing).rejects.toMatchObject({ code: 'backup-deleted', facts: { backups: [idOf(1)] } });
  expect(await listHolds(repository, cluster)).toEqual([]);
});

test.each([
  ['is no JSON', '{'],
  ['is of a newer version', '{"formatVersion":2}'],
])('a hold that %s keeps everything', async (_, text) => {
  const repository = await withWal(1);
  await repository.store.create(holdKey(cluster, '20261120T140501Z-plan-0000000a'), bytesOf(text));
  await expect(bury(repository, [idOf(1)])).rejects.toMatchObject({ permanent: true });
  await expect(cut(repository, '0/2000000')).rejects.toMatchObject({ permanent: true });
  expect(await listed(repository)).toEqual([idOf(1)]);
});

test('a file below holds that this version does not know keeps everything', async () => {
  const repository = await withBackups(1);
  await repository.store.create(`${holdPrefix(cluster)}20261120T140501Z-plan-0000000a.extended.json`, bytesOf('{}'));
  await expect(bury(repository, [idOf(1)])).rejects.toMatchObject({ code: 'record-invalid' });
  expect(await listed(repository)).toEqual([idOf(1)]);
});

test('children go before their parents, and a parent stays while a child is held', async () => {
  const repository = await withBackups(1, -2, -3);
  const hold = await placeHold(repository, { ...order, needs: needsOf(idAt(-2)) });
  const answers = await bury(repository, [idOf(1), idAt(-2), idAt(-3)]);
  expect(Object.fromEntries([...answers].map(([id, { outcome }]) => [id, outcome]))).toEqual({
    [idAt(-3)]: 'deleted',
    [idAt(-2)]: 'held',
    [idOf(1)]: 'needed',
  });
  expect(await listed(repository)).toEqual([idOf(1), idAt(-2)]);
  await releaseHold(repository, hold);
  expect([...(await bury(repository, [idOf(1), idAt(-2)])).keys()]).toEqual([idAt(-2), idOf(1)]);
  expect(await keysUnder(repository, `${cluster}/${era}/base/`)).toEqual([]);
});

test('a deletion that was interrupted is out of the list, and finished by the next run under one tombstone', async () => {
  const repository = await withBackups(1);
  const error = new Error('killed');
  const store = faulty(repository.store, [{ on: 'remove', key: /pgdata\.2/, fault: { kind: 'fail', error } }]);
  await expect(bury({ ...repository, store }, [idOf(1)])).rejects.toThrow('killed');
  expect(await listed(repository)).toEqual([]);
  const unfinished = await unfinishedDeletions(repository, backupShelf(cluster, era));
  expect(unfinished).toEqual([{ id: idOf(1), reason: 'retention' }]);
  expect((await bury(repository, [idOf(1)])).get(idOf(1))).toMatchObject({ outcome: 'deleted' });
  expect(await unfinishedDeletions(repository, backupShelf(cluster, era))).toEqual([]);
  expect(await keysUnder(repository, basePrefix(cluster, era, idOf(1)))).toEqual([]);
  expect(await keysUnder(repository, `${cluster}/${era}/backups/`)).toHaveLength(1);
});

test('scenario 16: what the store keeps under a lock is answered as retained, and its parents stay', async () => {
  const repository = await withBackups(1, -2);
  const error = new PgproofError('object-retained', 'kept until 2027-01-01');
  const store = faulty(repository.store, [{ on: 'remove', key: /-incr-.*manifest/, fault: { kind: 'fail', error } }]);
  const answers = await bury({ ...repository, store }, [idOf(1), idAt(-2)]);
  expect(answers.get(idAt(-2))).toEqual({ outcome: 'retained', detail: 'kept until 2027-01-01' });
  expect(answers.get(idOf(1))).toEqual({ outcome: 'needed', by: [idAt(-2)] });
  expect(await keysUnder(repository, basePrefix(cluster, era, idOf(1)))).toHaveLength(3);
});

const segment = (number: number) =>
  `0000000100000000${number.toString(16).padStart(8, '0').toUpperCase()}` as SegmentName;
const cut = (repository: Repository, to: string, now = new Date()) =>
  cutWal(repository, cluster, { era, segmentBytes: 16 << 20 }, [{ timeline: 1, from: '0/0' as Lsn, to: to as Lsn }], {
    reason: 'retention',
    now,
  });

async function withWal(...numbers: number[]): Promise<Repository> {
  const repository = await withBackups(1);
  for (const number of numbers)
    await repository.store.create(walKey(cluster, era, segment(number), 'ab'.repeat(16), '.zst'), bytesOf('wal'));
  return repository;
}

test('a cut takes the segments that lie wholly in it, and a later one that includes it takes its place', async () => {
  const repository = await withWal(0, 1, 2, 3);
  expect(await cut(repository, '0/1800000')).toEqual({ outcome: 'cut', segments: 1, bytes: 3, retained: 0 });
  expect(await cut(repository, '0/2000000')).toMatchObject({ outcome: 'cut', segments: 1 });
  expect(await listCuts(repository, cluster, era)).toMatchObject([{ ranges: [{ from: '0/0', to: '0/2000000' }] }]);
  expect(await cut(repository, '0/2000000')).toMatchObject({ segments: 0 });
  expect(await cut(repository, '0/3000000')).toEqual({ outcome: 'needed', by: [idOf(1)] });
  expect(await keysUnder(repository, cutPrefix(cluster, era))).toHaveLength(1);
});

test('WAL that is held is not cut', async () => {
  const repository = await withWal(1);
  const wal = [{ timeline: 1, from: '0/1000000' as Lsn, to: '0/2000000' as Lsn }];
  await placeHold(repository, { ...order, needs: [{ era, backups: [], wal }] });
  expect(await cut(repository, '0/2000000')).toMatchObject({ outcome: 'held', holds: [{ operation: 'hand' }] });
  expect(await keysUnder(repository, cutPrefix(cluster, era))).toEqual([]);
  expect(await cut(repository, '0/2000000', inDays(2))).toMatchObject({ outcome: 'cut', segments: 1 });
  await expect(placeHold(repository, { ...order, needs: [{ era, backups: [], wal }] })).rejects.toMatchObject({
    code: 'backup-deleted',
  });
});

test('a backup whose WAL was cut is not committed', async () => {
  const repository = await withWal(1);
  await cut(repository, '0/2000000');
  const late = commitBackup(repository, noKeys, recordOf(idOf(2), { startLsn: '0/1000028', stopLsn: '0/1000138' }));
  await expect(late).rejects.toMatchObject({ code: 'backup-deleted' });
  expect(await listed(repository)).toEqual([idOf(1)]);
});

test('clocks may differ by an hour before a hold that ended is passed over', () => {
  const hold: Pick<Hold, 'until'> = { until: '2026-11-21T12:00:00.000Z' };
  expect(isInForce(hold, new Date('2026-11-21T12:59:00Z'))).toBe(true);
  expect(isInForce(hold, new Date('2026-11-21T13:01:00Z'))).toBe(false);
});
