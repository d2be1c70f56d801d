import { describe, expect, test } from 'vitest';
import { hasCode } from '../../core/errors.ts';
import type { EraNeeds, Hold, WalRange } from '../../core/hold.ts';
import type { Lsn } from '../../core/lsn.ts';
import type { SegmentName } from '../../core/segment.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { commitBackup } from '../../repository/commit.ts';
import { isCut, listCuts } from '../../repository/cuts.ts';
import { bury as buryThem, cutWal, unfinishedDeletions } from '../../repository/delete.ts';
import { holdEverything, listHolds, narrowHold, placeHold, releaseHold, renewHold } from '../../repository/holds.ts';
import { noKeys } from '../../repository/keys.ts';
import { backupKey, basePrefix, walKey } from '../../repository/layout.ts';
import type { BackupRecord } from '../../repository/record.ts';
import type { Repository } from '../../repository/repository.ts';
import { backupShelf } from '../../repository/shelf.ts';
import { listWal } from '../../repository/wal.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { cluster, era, putEra, recordOf } from '../repository/support.ts';
import { explore, type Objects, type Outcome, type Process, plainStore } from './explore.ts';

/*
 * The protocol of deletions (docs/decisions/140): its real functions, with nothing of theirs replaced, in all orders of their
 * store calls, and killed between any two.
 */

const full = '20261120T140501Z-full-3fa94c11';
const child = '20261121T140501Z-incr-3fa94c12';
/** The one that the backup itself needs, and one that a plan needs, too. */
const segment = '000000010000000000000002' as SegmentName;
const later = '000000010000000000000003' as SegmentName;
const own: WalRange = { timeline: 1, from: '0/1000000' as Lsn, to: '0/3000000' as Lsn };
const behind: WalRange = { timeline: 1, from: '0/3000000' as Lsn, to: '0/4000000' as Lsn };
const now = new Date();

const records: Record<string, BackupRecord> = {
  [full]: { ...recordOf(full), signature: null },
  [child]: { ...recordOf(child, { type: 'incremental', parent: full }), signature: null },
};
const partsOf = (id: string) => ['backup_manifest.zst'].map((name) => `${basePrefix(cluster, era, id)}${name}`);
const walOf = (name: SegmentName) => walKey(cluster, era, name, 'ab'.repeat(16), '.zst');

const at = (store: ObjectStore): Repository => ({
  name: 'local',
  id: 'r',
  location: 'model',
  store,
  config: { type: 'file', path: '/' },
});
const order = { cluster, operation: 'plan', by: 'db-7', reason: null, seconds: 86_400 } as const;
const needs: EraNeeds[] = [
  { era, backups: [full], wal: [{ timeline: 1, from: '0/2000000' as Lsn, to: '0/4000000' as Lsn }] },
];

const bury =
  (...ids: string[]): Process =>
  (store) =>
    buryThem(
      at(store),
      backupShelf(cluster, era),
      ids.map((id) => ({ id, reason: 'retention' })),
      { now },
    );
const cut =
  (range: WalRange): Process =>
  (store) =>
    cutWal(at(store), cluster, { era, segmentBytes: 16 << 20 }, [range], {
      now,
      reason: 'retention',
      known: [records[full] as BackupRecord],
    });
const commit =
  (id: string): Process =>
  (store) => {
    const { signature: _, ...record } = records[id] as BackupRecord;
    return commitBackup(at(store), noKeys, record);
  };
const list: Process = (store) => listBackups(at(store), noKeys, cluster);
const hold: Process = (store) => placeHold(at(store), { ...order, needs });
/** Of a hold that is in force: from its beginning to its end the new one or the old one counts. */
const renew: Process = async (store) => {
  const [held] = await listHolds(at(store), cluster);
  return renewHold(at(store), { ...(held as Hold), needs }, 86_400).catch(() => 'the old one counts');
};
/** As a plan does it: everything is held, then it is looked at what is there, then only that is held. */
const plan: Process = async (store) => {
  const repository = at(store);
  const held = await holdEverything(repository, order);
  const entries = await listBackups(repository, noKeys, cluster);
  const listing = await listWal(repository, cluster, era);
  const cuts = await listCuts(repository, cluster, era);
  const isThere = entries.some(({ id, state }) => id === full && state === 'whole');
  const hasWal = [segment, later].every((name) => listing.has(name) && !isCut(name, cuts, 16 << 20));
  if (isThere && hasWal) return narrowHold(repository, held, { needs, seconds: 86_400 });
  await releaseHold(repository, held);
  return 'nothing to plan with';
};

/** A repository with these backups committed, those merely copied, and a segment of WAL. */
async function beginWith(committed: string[], copied: string[] = []): Promise<Objects> {
  const objects: Objects = new Map();
  const create = async (key: string, body: unknown) => {
    objects.set(key, Buffer.from(body as Uint8Array));
    return { bytes: 0, sha256: '' };
  };
  await putEra(at({ create } as unknown as ObjectStore));
  for (const id of [...committed, ...copied]) for (const key of partsOf(id)) objects.set(key, Buffer.from('part'));
  for (const id of committed) objects.set(backupKey(cluster, era, id), Buffer.from(JSON.stringify(records[id])));
  for (const name of [segment, later]) objects.set(walOf(name), Buffer.from('wal'));
  return objects;
}

async function beginHeld(): Promise<Objects> {
  const objects = await beginWith([full]);
  await placeHold(at(plainStore(objects)), { ...order, needs });
  return objects;
}

const isWhole = (objects: Objects, id: string): boolean =>
  partsOf(id).every((key) => objects.has(key)) && objects.has(walOf(segment));

/** What is shown in the catalogue can be restored, whatever was interrupted. */
async function assertCatalogue(objects: Objects): Promise<string[]> {
  const listed = await listBackups(at(plainStore(objects)), noKeys, cluster);
  const whole = listed.filter(({ state }) => state === 'whole').map(({ id }) => id);
  for (const id of whole) {
    expect(isWhole(objects, id), `${id} is listed`).toBe(true);
    const { parent } = records[id] as BackupRecord;
    if (parent !== null) expect(isWhole(objects, parent), `${id} needs ${parent}`).toBe(true);
  }
  return whole;
}

/** Whoever was told that a backup is committed, or held, finds it whole. */
function assertPromises(objects: Objects, promises: { outcome: Outcome | undefined; ids: string[] }[]): void {
  for (const { outcome, ids } of promises) {
    if (outcome?.state === 'failed') expect(hasCode(outcome.error, 'backup-deleted'), String(outcome.error)).toBe(true);
    if (outcome?.state !== 'done' || outcome.value === 'nothing to plan with') continue;
    for (const id of ids) {
      const isKept = id === later ? objects.has(walOf(later)) : isWhole(objects, id);
      expect(isKept, `${id} was promised`).toBe(true);
    }
  }
}

/** The next run finishes what was interrupted, and harms nobody either. */
async function runAgain(objects: Objects): Promise<void> {
  const repository = at(plainStore(objects));
  const unfinished = await unfinishedDeletions(repository, backupShelf(cluster, era));
  const answers = await buryThem(repository, backupShelf(cluster, era), unfinished, { now });
  for (const [id, { outcome }] of answers)
    if (outcome === 'deleted')
      expect([...objects.keys()].filter((key) => key.startsWith(basePrefix(cluster, era, id)))).toEqual([]);
}

type Case = { title: string; begin: () => Promise<Objects>; processes: Process[]; promises: [number, string[]][] };

const cases: Case[] = [
  {
    title: 'a deletion and a hold',
    begin: () => beginWith([full]),
    processes: [bury(full), hold],
    promises: [[1, [full]]],
  },
  {
    title: 'a deletion and a hold that is renewed',
    begin: beginHeld,
    processes: [bury(full), renew],
    promises: [[1, [full]]],
  },
  {
    title: 'a deletion and a restore plan',
    begin: () => beginWith([full]),
    processes: [bury(full), plan],
    promises: [[1, [full]]],
  },
  {
    title: 'a deletion and the commit of an increment',
    begin: () => beginWith([full], [child]),
    processes: [bury(full), commit(child)],
    promises: [[1, [child, full]]],
  },
  {
    title: 'the deletion of a chain and a hold of its beginning',
    begin: () => beginWith([full, child]),
    processes: [bury(full, child), hold],
    promises: [[1, [full]]],
  },
  {
    title: 'a cut and a hold',
    begin: () => beginWith([]),
    processes: [
      cut(behind),
      (store) => placeHold(at(store), { ...order, needs: [{ era, backups: [], wal: [behind] }] }),
    ],
    promises: [[1, [later]]],
  },
  {
    title: 'a cut and the commit of a backup',
    begin: () => beginWith([], [full]),
    processes: [cut(own), commit(full)],
    promises: [[1, [full]]],
  },
  {
    title: 'a cut and a restore plan',
    begin: () => beginWith([full]),
    processes: [cut(behind), plan],
    promises: [[1, [full, later]]],
  },
  {
    title: 'a deletion and somebody who lists',
    begin: () => beginWith([full, child]),
    processes: [bury(child), list],
    promises: [[1, []]],
  },
  {
    title: 'two deletions of one backup',
    begin: () => beginWith([full]),
    processes: [bury(full), bury(full)],
    promises: [],
  },
  {
    title: 'two deletions of one backup and a hold',
    begin: () => beginWith([full]),
    processes: [bury(full), bury(full), hold],
    promises: [[2, [full]]],
  },
  {
    title: 'the deletion of a backup, a cut of its WAL, and a restore plan',
    begin: () => beginWith([full]),
    processes: [bury(full), cut(behind), plan],
    promises: [[2, [full, later]]],
  },
];

describe('in all orders of their steps, and killed between any two', () => {
  for (const { title, begin, processes, promises } of cases) {
    test(`${title}: what is committed or held stays, and what is listed is whole`, async () => {
      const kills = processes.length > 2 ? 0 : 1;
      const { ends } = await explore(await begin(), processes, { kills }, async (objects, outcomes, path) => {
        try {
          const owed = promises.map(([index, ids]) => ({ outcome: outcomes[index], ids }));
          await assertCatalogue(objects);
          assertPromises(objects, owed);
          await runAgain(objects);
          await assertCatalogue(objects);
          assertPromises(objects, owed);
        } catch (error) {
          throw new Error(`after\n${path}`, { cause: error });
        }
      });
      expect(ends).toBeGreaterThan(3);
    });
  }
});
