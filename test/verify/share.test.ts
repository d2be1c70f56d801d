import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import type { VerifyResult } from '../../core/verified.ts';
import { type FaultPlan, faulty } from '../../storage/fault.ts';
import { earlierVerifies } from '../../verify/earlier.ts';
import { Looking } from '../../verify/looking.ts';
import { verifyRepository } from '../../verify/repository.ts';
import { asOnlyVerify } from '../../verify/scratch.ts';
import { reportedVerify } from '../../verify/verify.ts';
import { alternate } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { storeWith } from '../support/store-with.ts';
import { type Copy, copyOf, everything, look, openVerifyStage, type VerifyStage } from './support.ts';

const [major] = alternate(1) as [string];
let stage: VerifyStage;

beforeAll(async () => {
  stage = await openVerifyStage(major);
});
afterAll(() => stage.dispose());

const asked: Parameters<typeof reportedVerify>[1] = {
  ...everything,
  repository: null,
  reason: null,
  requestedBy: 'nobody',
};

async function verify(copy: Copy, options: Partial<typeof asked> = {}) {
  const { report } = await reportedVerify(copy.cluster, { ...asked, ...options }, quietRun(), null);
  const result = report.result as VerifyResult;
  return { report, result, repository: result.repositories[0] as VerifyResult['repositories'][0] };
}

/** The copy with a store that does wrong as planned. */
function withFaults(copy: Copy, plan: FaultPlan): Copy {
  const repository = { ...copy.cluster.repository, store: faulty(copy.cluster.repository.store, plan) };
  return { ...copy, cluster: { ...copy.cluster, repository, repositories: [repository] } };
}

/** The copy, and the keys that were read from it. */
function watched(copy: Copy): { copy: Copy; read: string[] } {
  const read: string[] = [];
  const { repository } = copy.cluster;
  const store = storeWith(repository.store, {
    read: (key, options) => {
      read.push(key);
      return repository.store.read(key, options);
    },
  });
  const seen = { ...repository, store };
  return { copy: { ...copy, cluster: { ...copy.cluster, repository: seen, repositories: [seen] } }, read };
}

const haveBytes = /\/(base|wal)\//;

test('ten runs over 10 % each read every object exactly once, and say which share it was', async () => {
  const { copy, read } = watched(await copyOf(stage));
  const slots: unknown[] = [];
  for (let run = 0; run < 10; run += 1) slots.push((await verify(copy, { share: 10 })).repository.rotation);
  expect(slots).toEqual(Array.from({ length: 10 }, (_, slot) => ({ slots: 10, slot })));
  expect(read.filter((key) => haveBytes.test(key)).sort()).toEqual(copy.keys(haveBytes));
});

test('what was found damaged is read again in every share, until it is whole', async () => {
  const copy = await copyOf(stage);
  const object = copy.walKeyOf(copy.segments().at(-1) as string);
  copy.flip(object);
  await verify(copy);
  for (const _ of [1, 2, 3]) {
    const { report, repository } = await verify(copy, { share: 1 });
    expect(report).toMatchObject({ status: 'FAILED', result: { verdict: 'failed' } });
    expect(repository.findings).toMatchObject([{ object, kind: 'damaged' }]);
  }
  copy.flip(object);
  expect((await verify(copy, { share: 1 })).repository.verdict).toBe('passed');
});

test('a store that goes away makes it inconclusive, never passed; what was found until then is told', async () => {
  const whole = await copyOf(stage);
  const gone = new RegExp(`/base/${stage.first.id}/pgdata.1`);
  whole.truncate(whole.keys(gone)[0] as string, 10);
  const away = withFaults(whole, [{ on: 'read', key: /\/wal\//, fault: { kind: 'fail' } }]);
  const found = await look(away);
  expect(found).toMatchObject({ verdict: 'failed', complete: false });
  expect(found.findings).toMatchObject([{ kind: 'damaged', object: expect.stringMatching(gone) }]);

  const untouched = withFaults(await copyOf(stage), [{ on: 'read', key: /\/wal\//, fault: { kind: 'fail' } }]);
  expect(await look(untouched)).toMatchObject({ verdict: 'inconclusive', complete: false });
});

test('after some objects in a row that cannot be read nobody waits for the rest', async () => {
  const looking = new Looking(quietRun(), 1);
  const away = () => Promise.reject(new PgproofError('store-unreachable', 'no route to host'));
  for (const object of ['a', 'b', 'c', 'd']) expect(await looking.at(object, away)).toEqual({ state: 'unread' });
  await expect(looking.at('e', away)).rejects.toMatchObject({ code: 'store-unreachable' });
});

test('one object that cannot be read is named, and makes it inconclusive: nobody knows how it is', async () => {
  const copy = await copyOf(stage);
  const object = copy.walKeyOf(copy.segments()[0] as string);
  const key = new RegExp(object);
  const error = new PgproofError('store-unreachable', 'input/output error');
  const found = await look(withFaults(copy, [{ on: 'read', key, fault: { kind: 'fail', error } }]));
  expect(found).toMatchObject({
    verdict: 'inconclusive',
    findings: [],
    unread: [{ object, why: 'input/output error' }],
  });
});

test('a store that hangs is not waited for without end', async () => {
  const hanging = withFaults(await copyOf(stage), [{ on: 'read', key: /\/wal\//, fault: { kind: 'hang' } }]);
  const found = await verifyRepository(hanging.cluster, everything, [], quietRun(), { standingSeconds: 1 });
  expect(found).toMatchObject({ verdict: 'inconclusive', complete: false });
  expect(found.verdictReason).toContain("nothing has come from repository 'local' for 1 s");
});

test('a store that stumbles once is asked again', async () => {
  const plan: FaultPlan = [{ on: 'read', key: /\/wal\//, fault: { kind: 'fail' }, times: 2 }];
  expect(await look(withFaults(await copyOf(stage), plan))).toMatchObject({ verdict: 'passed', unread: [] });
});

test('a share that could not be read as a whole is taken again by the next run', async () => {
  const copy = await copyOf(stage);
  const away = withFaults(copy, [{ on: 'read', key: haveBytes, fault: { kind: 'fail' } }]);
  const options = { ...everything, share: 50 };
  const first = await verifyRepository(away.cluster, options, [], quietRun(), { pauseMs: 1 });
  const earlier = { id: 'earlier', finishedAt: '', repository: first };
  const second = await verifyRepository(copy.cluster, options, [earlier], quietRun());
  const third = await verifyRepository(copy.cluster, options, [{ ...earlier, repository: second }], quietRun());
  expect([first, second, third].map(({ rotation }) => rotation?.slot)).toEqual([0, 0, 1]);
});

test('the newest run of each repository is found again, in whichever repository its report lies', async () => {
  const copy = await copyOf(stage);
  await verify(copy, { share: 50 });
  const { report } = await verify(copy);
  const { id } = copy.cluster.repository;
  const found = await earlierVerifies(copy.cluster, { perRepository: 5 });
  expect(found.get(id)).toHaveLength(2);
  expect(found.get(id)?.[0]).toMatchObject({ id: report.id, repository: { verdict: 'passed', rotation: null } });
});

test('a second verify of the cluster is refused while one runs, and leaves no report', async () => {
  const copy = await copyOf(stage);
  const before = copy.keys(/\/reports\//).length;
  await asOnlyVerify(copy.cluster, quietRun().signal, async () => {
    await expect(verify(copy)).rejects.toMatchObject({ code: 'cluster-busy' });
  });
  expect(copy.keys(/\/reports\//).length).toBe(before);
  expect(readdirSync(join(stage.cluster.paths.drills))).toEqual([]);
});

test('a repository that the cluster does not have is refused', async () => {
  const copy = await copyOf(stage);
  await expect(verify(copy, { repository: 'elsewhere' })).rejects.toMatchObject({ code: 'repository-unknown' });
});

test('a repository that could not be opened is inconclusive, whatever the others are', async () => {
  const copy = await copyOf(stage);
  const error = new PgproofError('store-unreachable', 'no route to host');
  const unavailable = [{ name: 'offsite', error, open: () => Promise.reject(error) }];
  const { result } = await verify({ ...copy, cluster: { ...copy.cluster, unavailable } });
  expect(result).toMatchObject({
    verdict: 'inconclusive',
    verdictReason: 'offsite: it could not be opened: no route to host',
    repositories: [{ verdict: 'passed' }, { repository: 'offsite', verdict: 'inconclusive' }],
  });
});
