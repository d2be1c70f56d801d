import { linkSync, readdirSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import type { Lsn } from '../../core/lsn.ts';
import { inRepository } from '../../postgres/cluster.ts';
import { declareEraInAll, requireEra } from '../../repository/eras.ts';
import { eraKey } from '../../repository/layout.ts';
import { initRepository, openRepository, type Repository } from '../../repository/repository.ts';
import { putSegment } from '../../repository/wal.ts';
import type { FaultPlan } from '../../storage/fault.ts';
import { awaitArchived } from '../../wal/await.ts';
import { Custody } from '../../wal/custody.ts';
import { readFrontier } from '../../wal/frontier.ts';
import { discardConflict, listConflicts } from '../../wal/quarantine.ts';
import { runShipper, shipOnce } from '../../wal/shipper.ts';
import { readSpool, type SpoolFile } from '../../wal/spool.ts';
import { walStatus } from '../../wal/status.ts';
import { type Target, targetsOf } from '../../wal/targets.ts';
import { withRepositories } from '../support/repositories.ts';
import { tempDir } from '../support/temp.ts';
import { dieShipping, type Moment } from './killed-shipper.ts';
import { type Archive, seg, segmentOf, signal } from './support.ts';
import { facts, openTwo } from './two.ts';

const names = (numbers: readonly number[]): string[] => numbers.map((number) => seg(number));

function fill({ publish }: Archive, numbers: readonly number[]): void {
  for (const number of numbers) publish(seg(number), segmentOf(seg(number)));
}

const away: FaultPlan = [{ on: 'create', fault: { kind: 'fail' } }];
const put = (plan: FaultPlan, rules: FaultPlan): void => void plan.splice(0, plan.length, ...rules);

test('WAL goes to every repository, and leaves the spool when both have it', async () => {
  const two = await openTwo(tempDir());
  fill(two, [1, 2, 3, 4, 5]);
  expect(await shipOnce(two.cluster, { signal })).toMatchObject({ shipped: names([1, 2, 3, 4, 5]), error: null });
  expect(two.waiting()).toEqual([]);
  expect(await two.held(two.near)).toEqual(await two.held(two.far));
  expect(readdirSync(join(two.spool.root, 'held/local'))).toEqual([]);
  expect(readdirSync(join(two.spool.root, 'held/far'))).toEqual([]);
});

test('invariant 2 and 3: the spool keeps a segment until every required repository has it', async () => {
  const two = await openTwo(tempDir());
  put(two.faults, away);
  fill(two, [1, 2, 3]);
  const pass = await shipOnce(two.cluster, { signal });
  expect(pass).toMatchObject({ shipped: names([1, 2, 3]), error: { code: 'store-unreachable' } });
  expect(pass.passes).toMatchObject([
    { repository: 'local', error: null },
    { repository: 'far', error: { code: 'store-unreachable' }, shipped: [] },
  ]);
  expect(two.waiting()).toEqual(names([1, 2, 3]));
  const frontierIn = async (repository: Repository) => (await readFrontier(inRepository(two.cluster, repository))).lsn;
  expect([await frontierIn(two.near), await frontierIn(two.far)]).toEqual(['0/400000', '0/0']);

  put(two.faults, []);
  expect(await shipOnce(two.cluster, { signal })).toMatchObject({ error: null, conflicts: [] });
  expect(two.waiting()).toEqual([]);
  expect([await frontierIn(two.near), await frontierIn(two.far)]).toEqual(['0/400000', '0/400000']);
});

test('what one repository has is not sent to it again after a restart, and another file under the name is', async () => {
  const two = await openTwo(tempDir());
  put(two.faults, away);
  fill(two, [1, 2]);
  await shipOnce(two.cluster, { signal });
  expect((await shipOnce(two.cluster, { signal })).passes[0]?.shipped).toEqual([]);

  const path = join(two.spool.incoming, seg(2));
  unlinkSync(path);
  const other = segmentOf(seg(2));
  writeFileSync(path, other);
  const again = await shipOnce(two.cluster, { signal });
  expect(again.passes[0]).toMatchObject({ shipped: [seg(2)], conflicts: [{ code: 'wal-conflict' }] });
  put(two.faults, []);
  await shipOnce(two.cluster, { signal });
  expect(await two.held(two.near)).toEqual({ [seg(1)]: 1, [seg(2)]: 2 });
  expect(await two.held(two.far)).toEqual({ [seg(1)]: 1, [seg(2)]: 1 });
});

test('a repository of the same name that is another one has nothing yet', async () => {
  const two = await openTwo(tempDir());
  put(two.faults, away);
  fill(two, [1]);
  await shipOnce(two.cluster, { signal });
  renameSync(join(two.dir, 'repository'), join(two.dir, 'lost'));
  const fresh = await initRepository('local', { type: 'file', path: join(two.dir, 'repository') });
  const cluster = { ...two.cluster, ...withRepositories([fresh, two.far]) };
  await declareEraInAll([fresh, two.far], cluster, facts);
  put(two.faults, []);
  await shipOnce(cluster, { signal });
  expect(two.waiting()).toEqual([]);
  expect(await two.held(fresh)).toEqual({ [seg(1)]: 1 });
});

test('scenario 18: while one repository is away the other goes on, and the backlog drains in order, nothing skipped', async () => {
  const two = await openTwo(tempDir());
  put(two.faults, away);
  const stored: string[] = [];
  const created = two.far.store.create.bind(two.far.store);
  two.far.store.create = async (key, body, options) => {
    const answer = await created(key, body, options);
    if (key.includes('/wal/')) stored.push(key.slice(key.lastIndexOf('/') + 1).slice(0, 24));
    return answer;
  };
  const alarms: string[] = [];
  const stopped = new AbortController();
  const running = runShipper(two.cluster, {
    signal: stopped.signal,
    intervalMs: 20,
    onAlarm: ({ message }) => alarms.push(message),
  });
  const until = async (fact: () => boolean | Promise<boolean>) => {
    while (!(await fact())) await Promise.race([sleep(10), running]);
  };
  const hasAll = async (repository: Repository, count: number) =>
    Object.keys(await two.held(repository)).length === count;
  const backlog = Array.from({ length: 30 }, (_, index) => index + 1);
  fill(two, backlog.slice(0, 20));
  await until(() => hasAll(two.near, 20));
  fill(two, backlog.slice(20)); // it goes on during the outage
  await until(() => hasAll(two.near, 30));
  expect(two.waiting()).toEqual(names(backlog));
  expect(await two.held(two.far)).toEqual({});
  expect(alarms).toEqual([expect.stringMatching(/^repository 'far': /)]);

  put(two.faults, []);
  await until(() => two.waiting().length === 0);
  stopped.abort();
  await running;
  expect(await two.held(two.far)).toEqual(await two.held(two.near));
  // Four are on their way at the same time: whichever is done, at most three before it are not.
  for (const [index, name] of stored.entries()) expect(names(backlog).indexOf(name) - index).toBeLessThanOrEqual(3);
});

test('scenario 3: killed again and again with two repositories, a shipper loses nothing in either', async () => {
  const dir = tempDir();
  const two = await openTwo(dir);
  const numbers = Array.from({ length: 16 }, (_, index) => index + 1);
  fill(two, numbers);
  const moments: Moment[] = [
    ['after', 1],
    ['before', 4],
    ['after', 7],
  ];
  for (const moment of moments) {
    await dieShipping(dir, 'two', moment);
    expect(two.waiting()).not.toEqual([]);
    const [near, far] = [await two.held(two.near), await two.held(two.far)];
    for (const name of names(numbers))
      expect((near[name] === 1 && far[name] === 1) || two.waiting().includes(name)).toBe(true);
  }
  for (;;) {
    // The lock of a killed shipper goes when the kernel has ended its child, too.
    const pass = await shipOnce(two.cluster, { signal }).catch((error: PgproofError) => error);
    if (!(pass instanceof PgproofError)) break;
    expect(pass.code).toBe('spool-busy');
  }
  expect(two.waiting()).toEqual([]);
  expect(Object.keys(await two.held(two.far))).toEqual(names(numbers));
  expect(await two.held(two.near)).toEqual(await two.held(two.far));
});

test('a repository that was away when the shipper began is opened when it comes', async () => {
  const two = await openTwo(tempDir());
  const path = join(two.dir, 'far');
  renameSync(path, `${path}.away`);
  const open = () => openRepository('far', { type: 'file', path });
  const error = (await open().catch((thrown: unknown) => thrown)) as never;
  const cluster = { ...two.cluster, ...withRepositories([two.near]), unavailable: [{ name: 'far', error, open }] };
  fill(two, [1, 2]);
  expect((await shipOnce(cluster, { signal })).passes[1]).toMatchObject({ error: { code: 'repository-missing' } });
  expect(two.waiting()).toEqual(names([1, 2]));
  renameSync(`${path}.away`, path);
  expect((await shipOnce(cluster, { signal })).error).toBeNull();
  expect(two.waiting()).toEqual([]);
  expect(await two.held(two.far)).toEqual({ [seg(1)]: 1, [seg(2)]: 1 });
});

test('a repository that is not required is waited for while it keeps up, passed over while it is away, and that is said', async () => {
  const two = await openTwo(tempDir(), ['local']);
  fill(two, [1]);
  expect(await shipOnce(two.cluster, { signal })).toMatchObject({ missed: [] });
  expect(await two.held(two.far)).toEqual({ [seg(1)]: 1 });
  put(two.faults, away);
  fill(two, [2, 3]);
  const alarms: string[] = [];
  const stopped = new AbortController();
  const running = runShipper(two.cluster, {
    signal: stopped.signal,
    intervalMs: 20,
    onAlarm: ({ code }) => alarms.push(code),
  });
  while (two.waiting().length > 0 || !alarms.includes('copy-incomplete')) await Promise.race([sleep(10), running]);
  put(two.faults, []);
  fill(two, [4]);
  while (two.waiting().length > 0) await Promise.race([sleep(10), running]);
  stopped.abort();
  await running;
  expect(await two.held(two.near)).toEqual({ [seg(1)]: 1, [seg(2)]: 1, [seg(3)]: 1, [seg(4)]: 1 });
  expect(Object.keys(await two.held(two.far))).not.toContain(seg(2));
  const status = await walStatus(two.cluster);
  expect(status.repositories).toMatchObject([
    { name: 'local', required: true, frontier: '0/500000', missing: [] },
    { name: 'far', required: false, lacking: 2 },
  ]);
  expect(status.problems).toContainEqual({
    code: 'copy-incomplete',
    message: `repository 'far': segment ${seg(2)} and 1 more are in another repository, and not here`,
    hint: 'pgproof copy shop --to far',
  });
});

test('what one repository refuses and another one has not judged yet stays in the spool', async () => {
  const two = await openTwo(tempDir());
  put(two.faults, [{ on: 'list', fault: { kind: 'fail' } }]);
  two.publish(seg(1), segmentOf(seg(5)));
  expect((await shipOnce(two.cluster, { signal })).waiting).toMatchObject([{ file: seg(1) }]);
  expect(two.waiting()).toEqual([seg(1)]);
  put(two.faults, []);
  const pass = await shipOnce(two.cluster, { signal });
  expect(pass.refused).toMatchObject([{ file: seg(1), error: { code: 'wal-foreign' } }]);
  expect([two.waiting(), two.foreign()]).toEqual([[], [seg(1)]]);
});

test('a repository without the era holds up nobody else, and takes its WAL once it is declared there', async () => {
  const two = await openTwo(tempDir());
  const { era } = await requireEra(two.far, 'shop');
  await two.far.store.remove(eraKey('shop', era));
  fill(two, [1]);
  const pass = await shipOnce(two.cluster, { signal });
  expect(pass.passes).toMatchObject([{ error: null }, { error: { code: 'era-undeclared' } }]);
  expect(two.waiting()).toEqual([seg(1)]);
  await declareEraInAll([two.near, two.far], two.cluster, facts);
  await shipOnce(two.cluster, { signal });
  expect(two.waiting()).toEqual([]);
});

test('archived is what each repository itself has', async () => {
  const two = await openTwo(tempDir());
  put(two.faults, away);
  fill(two, [2]);
  await shipOnce(two.cluster, { signal });
  const range = { timeline: 1, start: '0/200028' as Lsn, end: '0/300000' as Lsn };
  const run = { signal, progress: () => {} };
  const wait = (repository: Repository) =>
    awaitArchived(inRepository(two.cluster, repository), range, run, new Date(Date.now() + 100));
  await wait(two.near);
  await expect(wait(two.far)).rejects.toMatchObject({
    code: 'segment-not-archived',
    facts: { repository: 'far', shipperError: 'store-unreachable' },
  });
});

test('one content here and another there are a conflict, and a person discards one everywhere', async () => {
  const two = await openTwo(tempDir());
  const { era } = await requireEra(two.near, 'shop');
  const { walKeys, name } = two.cluster;
  const store = async (repository: Repository) =>
    (await putSegment(repository, walKeys, name, era, seg(1), segmentOf(seg(1)))).tag;
  const [ours, theirs] = [await store(two.near), await store(two.far)];
  expect((await listConflicts(two.cluster)).conflicts).toEqual([{ segment: seg(1), tags: [ours, theirs] }]);
  expect((await walStatus(two.cluster)).problems).toContainEqual(expect.objectContaining({ code: 'wal-conflict' }));
  await discardConflict(two.cluster, seg(1), theirs);
  expect((await listConflicts(two.cluster)).conflicts).toEqual([]);
  expect(await two.held(two.far)).toEqual({});
});

test('a repository that was not waited for, and got a segment all the same, has not missed it', async () => {
  const two = await openTwo(tempDir(), ['local']);
  fill(two, [1]);
  const [file] = await readSpool(two.spool);
  const [near, far] = targetsOf(two.cluster) as [Target, Target];
  const custody = new Custody(two.spool, [near, far]);
  await custody.begin(near, two.near.id);
  await custody.begin(far, two.far.id);
  expect(custody.wanted(far, [file as SpoolFile])).toEqual([file]);
  await custody.done(near, file as SpoolFile);
  expect(two.waiting()).toEqual([seg(1)]);
  await custody.setAway(far, true);
  expect(two.waiting()).toEqual([]);
  await custody.done(far, file as SpoolFile);
  expect(custody.takeMissed(far)).toEqual([]);
  expect(readdirSync(join(two.spool.root, 'held/far'))).toEqual([]);
});

test('the very same file that is put back leaves the spool once more, and is not shipped for ever', async () => {
  const two = await openTwo(tempDir());
  fill(two, [1]);
  const kept = join(tempDir(), 'kept');
  linkSync(join(two.spool.incoming, seg(1)), kept);
  const targets = targetsOf(two.cluster) as [Target, Target];
  const custody = new Custody(two.spool, targets);
  for (const [at, { id }] of [two.near, two.far].entries()) await custody.begin(targets[at] as Target, id);
  const shipAll = async (): Promise<void> => {
    const files = await readSpool(two.spool);
    for (const target of targets) for (const file of custody.wanted(target, files)) await custody.done(target, file);
  };
  await shipAll();
  expect(two.waiting()).toEqual([]);

  linkSync(kept, join(two.spool.incoming, seg(1)));
  await shipAll(); // a listing may be older than its leaving
  expect(two.waiting()).toEqual([seg(1)]);
  onTestFinished(() => void vi.useRealTimers());
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
  await shipAll();
  expect(two.waiting()).toEqual([]);
});
