import { expect, test } from 'vitest';
import { runId } from '../../core/ids.ts';
import type { DrillResult } from '../../core/report.ts';
import { drillOutcome } from '../../report/drill.ts';
import { renderExpired } from '../../report/render/expire.ts';
import { buildReport, startReport } from '../../report/report.ts';
import { listDumps } from '../../repository/dumps.ts';
import { placeHold, releaseHold } from '../../repository/holds.ts';
import { dumpKey, dumpPartPrefix, dumpPrefix, tombstoneKey } from '../../repository/layout.ts';
import { putReport } from '../../repository/reports.ts';
import { putDump } from '../dumps/support.ts';
import { bytesOf, keysUnder, cluster as name } from '../repository/support.ts';
import { dayMs, expire, openStage, type Retention, type Stage } from './support.ts';

type Shelf = Stage & { ids: string[] };

/** A dump a day, the newest an hour old; and two backups. */
async function openShelf(rules: Retention, count = 6, about: Parameters<typeof putDump>[4] = {}): Promise<Shelf> {
  const stage = await openStage(rules, { days: 2 });
  const shelf = { ...stage, ids: [] as string[] };
  for (let day = 1; day <= count; day += 1) await take(shelf, day - count, about);
  return shelf;
}

async function take(shelf: Shelf, day: number, about: Parameters<typeof putDump>[4] = {}): Promise<void> {
  const at = new Date(shelf.end + day * dayMs);
  const id = runId(at, 'logical', (shelf.ids.length + 1).toString(16).padStart(8, '0'));
  const { repository, keys } = shelf.cluster;
  await putDump(repository, keys, id, Buffer.from(`dump ${id}`), { startedAt: at.toISOString(), ...about });
  shelf.ids.push(id);
}

async function left({ cluster, ids }: Shelf): Promise<number[]> {
  const entries = await listDumps(cluster.repository, cluster.keys, name);
  return entries.map(({ id }) => ids.indexOf(id) + 1);
}

async function prove({ cluster, ids }: Shelf, day: number): Promise<void> {
  const order = { operation: 'drill', workflow: null, requestedBy: null, reason: null } as const;
  const dump = { id: ids[day - 1]!, database: 'shop', tier: 'daily', storedBytes: 1 };
  const nothing = { rtoSeconds: 1, rpoSeconds: null, rpoReason: 'a dump', targetErrorSeconds: null, rpoMeasured: null };
  const result: DrillResult = {
    verdict: 'passed',
    verdictReason: null,
    kind: 'dump',
    backupId: null,
    dump,
    target: null,
    reached: null,
    reachedWal: null,
    phases: [],
    ...nothing,
    checks: [],
    error: null,
    objectives: null,
    notes: [],
    fallbacks: [],
  };
  await putReport(cluster.repository, buildReport(cluster, startReport(order), drillOutcome(result)));
}

test('dumps go by the rules of their tier, parts and all; a dry run tells each with its rule, and touches nothing', async () => {
  const shelf = await openShelf({ dumps: { daily: { last: 3 } } });
  await take(shelf, -5, { tier: 'manual', database: 'stock' });
  const dry = await expire(shelf, { dryRun: true });
  expect(dry.dumps).toMatchObject({ keptDumps: 4, deletedDumps: 3 });
  const told = renderExpired(dry);
  expect(told).toContain('  dumps       3 would go, 4 would stay');
  expect(told).toContain(`    ${shelf.ids[0]}  shop  daily  daily: not needed for the last 3`);
  expect(told).toMatch(
    new RegExp(`    ${shelf.ids[6]}  stock  manual  newest: of stock; no-rules: tier manual has none`),
  );
  expect(await left(shelf)).toHaveLength(7);

  const done = await expire(shelf, { confirmed: false });
  expect(done).toMatchObject({ outcome: 'done', dumps: { deletedDumps: 3, keptDumps: 4 } });
  expect(done.dumps.deleted.map(({ outcome }) => outcome)).toEqual(['deleted', 'deleted', 'deleted']);
  expect((await left(shelf)).sort()).toEqual([4, 5, 6, 7]);
  expect(await keysUnder(shelf.cluster.repository, dumpPartPrefix(name, shelf.ids[0]!))).toEqual([]);
  expect(await expire(shelf)).toMatchObject({ dumps: { deletedDumps: 0 } });
});

test('other rules for one repository replace those of all, those for dumps too', async () => {
  const repositories = { local: { last: 1 } };
  const shelf = await openShelf({ last: 1, dumps: { daily: { last: 1 } }, repositories });
  expect(await expire(shelf)).toMatchObject({ deletedBackups: 1, dumps: { deletedDumps: 0 } });
  const own = { ...repositories.local, dumps: { daily: { last: 2 } } };
  const other = await openShelf({ dumps: { daily: { last: 1 } }, repositories: { local: own } });
  await expire(other);
  expect(await left(other)).toEqual([5, 6]);
});

test('more than half of the dumps of a tier needs a person, and then no backup goes either', async () => {
  const shelf = await openShelf({ last: 1, dumps: { daily: { last: 2 } } });
  expect(await expire(shelf, { confirmed: false })).toMatchObject({
    outcome: 'refused',
    refusals: ['4 of 6 dumps of tier daily would go, more than half'],
  });
  expect(await left(shelf)).toHaveLength(6);
  expect(await expire(shelf)).toMatchObject({ outcome: 'done', deletedBackups: 1, dumps: { deletedDumps: 4 } });
});

test('scenario 36, 37: the newest proven dump stays, what is held stays until it is released, a damaged one is left alone', async () => {
  const shelf = await openShelf({ dumps: { daily: { last: 2 } } });
  const { repository } = shelf.cluster;
  await prove(shelf, 2);
  const order = { cluster: name, operation: 'plan', by: 'db-7', reason: null, seconds: 86_400 } as const;
  const hold = await placeHold(repository, { ...order, needs: [], dumps: [shelf.ids[2]!] });
  await repository.store.remove(dumpKey(name, shelf.ids[3]!));
  await repository.store.create(dumpKey(name, shelf.ids[3]!), bytesOf('{"formatVersion": 1'));
  const done = await expire(shelf);
  expect(await left(shelf)).toEqual([2, 3, 5, 6, 4]);
  expect(done.notes.join()).toContain(`Dump ${shelf.ids[3]} is damaged and is left alone`);
  await prove(shelf, 6);
  await releaseHold(repository, hold);
  await expire(shelf);
  expect(await left(shelf)).toEqual([5, 6, 4]);
});

test('a deletion that broke off is ended by the next run, unless a drill has made the dump the newest proven one', async () => {
  const shelf = await openShelf({});
  const { repository } = shelf.cluster;
  const reason = 'expired: daily: not needed for the last 2';
  for (const id of shelf.ids.slice(0, 2)) {
    const tombstone = { formatVersion: 1, id, deletedAt: new Date().toISOString(), reason };
    await repository.store.create(tombstoneKey(dumpPrefix(name), id, 'aaaaaaaa'), bytesOf(JSON.stringify(tombstone)));
  }
  await prove(shelf, 2);
  const { notes } = await expire(shelf);
  expect(notes[0]).toMatch(
    /^The deletion of dump .* had been interrupted, and drill .* has proven it: it is not ended/,
  );
  expect(notes[1]).toBe(`The deletion of dump ${shelf.ids[0]}, which had been interrupted, was ended.`);
  const under = (id: string) => keysUnder(repository, dumpPartPrefix(name, id));
  expect([await under(shelf.ids[0]!), (await under(shelf.ids[1]!)).length]).toEqual([[], 1]);
  await prove(shelf, 3);
  await expire(shelf);
  expect(await under(shelf.ids[1]!)).toEqual([]);
});
