import { describe, expect, test } from 'vitest';
import { hasCode } from '../../core/errors.ts';
import { reapLeftovers } from '../../repository/commit.ts';
import { bury, unfinishedDeletions } from '../../repository/delete.ts';
import { commitDump, dumpParts, listDumps } from '../../repository/dumps.ts';
import { holdEverything, narrowHold, placeHold, releaseHold } from '../../repository/holds.ts';
import { noKeys } from '../../repository/keys.ts';
import { dumpKey, dumpPartPrefix } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import { dumpShelf } from '../../repository/shelf.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { explore, type Objects, type Outcome, type Process, plainStore } from '../holds/explore.ts';
import { cluster } from '../repository/support.ts';
import { dumpIdOf, dumpRecordOf } from './support.ts';

/*
 * Deletions of dumps (docs/decisions/140), as test/holds/model.test.ts has them for backups: the real functions in all orders of
 * their store calls, and killed between any two.
 */

const [id, other] = [dumpIdOf(1), dumpIdOf(2)] as const;
const now = new Date();
const shelf = dumpShelf(cluster);
const at = (store: ObjectStore): Repository => ({
  ...{ name: 'local', id: 'r', location: 'model', store },
  config: { type: 'file', path: '/' },
});
const order = {
  cluster,
  operation: 'plan',
  by: 'db-7',
  reason: null,
  seconds: 86_400,
  needs: [],
  dumps: [id],
} as const;

const remove: Process = (store) => bury(at(store), shelf, [{ id, reason: 'retention' }], { now });
const reap: Process = (store) => reapLeftovers(at(store), shelf, { except: [] });
const commit: Process = (store) => commitDump(at(store), noKeys, dumpRecordOf(id));
const hold: Process = (store) => placeHold(at(store), order);
/** As a restore does it: everything is held, then it is looked at what is there, then only that is held. */
const plan: Process = async (store) => {
  const held = await holdEverything(at(store), order);
  const entries = await listDumps(at(store), noKeys, cluster);
  if (entries.some((entry) => entry.id === id && entry.state === 'whole'))
    return narrowHold(at(store), held, { needs: [], dumps: [id], seconds: 86_400 });
  await releaseHold(at(store), held);
  return 'nothing to plan with';
};

/** Two dumps whose parts are there; those in `committed` exist. */
function beginWith(committed: string[]): Objects {
  const objects: Objects = new Map();
  for (const each of [id, other])
    for (const { key } of dumpParts(dumpRecordOf(each))) objects.set(key, Buffer.from('part'));
  for (const each of committed)
    objects.set(dumpKey(cluster, each), Buffer.from(JSON.stringify({ ...dumpRecordOf(each), signature: null })));
  return objects;
}

const isWhole = (objects: Objects, each: string): boolean =>
  dumpParts(dumpRecordOf(each)).every(({ key }) => objects.has(key));

/** What is shown in the catalogue can be restored, and who was told that it is kept finds it. */
async function assertKept(objects: Objects, promised: readonly (Outcome | undefined)[]): Promise<void> {
  const listed = await listDumps(at(plainStore(objects)), noKeys, cluster);
  for (const entry of listed) if (entry.state === 'whole') expect(isWhole(objects, entry.id)).toBe(true);
  for (const outcome of promised) {
    if (outcome?.state === 'failed') expect(hasCode(outcome.error, 'backup-deleted'), String(outcome.error)).toBe(true);
    if (outcome?.state === 'done' && outcome.value !== 'nothing to plan with')
      expect(isWhole(objects, id), 'it was promised').toBe(true);
  }
}

/** The next run finishes what was interrupted, and harms nobody either. */
async function runAgain(objects: Objects): Promise<void> {
  const repository = at(plainStore(objects));
  const unfinished = await unfinishedDeletions(repository, shelf);
  for (const [each, { outcome }] of await bury(repository, shelf, unfinished, { now }))
    if (outcome === 'deleted')
      expect([...objects.keys()].filter((key) => key.startsWith(dumpPartPrefix(cluster, each)))).toEqual([]);
}

type Case = { title: string; committed: string[]; processes: Process[]; promises: number[] };

const cases: Case[] = [
  { title: 'a deletion and a hold', committed: [id, other], processes: [remove, hold], promises: [1] },
  { title: 'a deletion and a plan', committed: [id, other], processes: [remove, plan], promises: [1] },
  { title: 'a reaper and a commit', committed: [other], processes: [reap, commit], promises: [1] },
];

describe('in all orders of their steps, and killed between any two', () => {
  for (const { title, committed, processes, promises } of cases) {
    test(`${title} of a dump: what is committed or held stays, and what is listed is whole`, async () => {
      const { ends } = await explore(beginWith(committed), processes, { kills: 1 }, async (objects, outcomes, path) => {
        try {
          const promised = promises.map((index) => outcomes[index]);
          await assertKept(objects, promised);
          await runAgain(objects);
          await assertKept(objects, promised);
        } catch (error) {
          throw new Error(`after\n${path}`, { cause: error });
        }
      });
      expect(ends).toBeGreaterThan(3);
    });
  }
});
