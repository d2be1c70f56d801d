import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import type { Lsn } from '../../core/lsn.ts';
import { segmentNameAt } from '../../core/segment.ts';
import { parseTarget } from '../../core/target.ts';
import { backupKey, eraKey } from '../../repository/layout.ts';
import { planRestore } from '../../restore/plan.ts';
import { startRestore } from '../../restore/start.ts';
import { faulty } from '../../storage/fault.ts';
import { ask } from '../restore/support.ts';
import { alternate } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { storeWith } from '../support/store-with.ts';
import { tempDir } from '../support/temp.ts';
import { type Copy, copyOf, look, offsiteOf, openVerifyStage, type VerifyStage } from './support.ts';

const [major] = alternate(0) as [string];
let stage: VerifyStage;

beforeAll(async () => {
  stage = await openVerifyStage(major);
});
afterAll(() => stage.dispose());

/** A repository, and a second one that has the same. */
async function pair(): Promise<{ copy: Copy; offsite: Copy }> {
  const offsite = await offsiteOf(stage);
  return { copy: await copyOf(stage, [offsite.cluster.repository]), offsite };
}

const same = (a: Copy, b: Copy, key: string) =>
  Buffer.compare(readFileSync(join(a.folder, key)), readFileSync(join(b.folder, key))) === 0;

test('the newest WAL that a repair had taken away when it broke off is missed by the next one, and put back', async () => {
  const { copy, offsite } = await pair();
  const key = copy.walKeyOf(copy.segments().at(-1) as string);
  copy.flip(key);
  const { repository } = copy.cluster;
  const full = faulty(repository.store, [{ on: 'create', fault: { kind: 'fail' } }]);
  const broken = { ...copy, cluster: { ...copy.cluster, repository: { ...repository, store: full } } };
  expect((await look(broken, { repair: true })).findings).toMatchObject([
    { object: key, repair: { outcome: 'failed' } },
  ]);
  expect(copy.has(key)).toBe(false);
  expect(await look(copy)).toMatchObject({ verdict: 'failed', findings: [{ object: key, kind: 'missing' }] });
  const healed = await look(copy, { repair: true });
  expect(healed).toMatchObject({ verdict: 'passed', findings: [{ object: key, repair: { outcome: 'repaired' } }] });
  expect(same(copy, offsite, key)).toBe(true);
  expect(await look(copy)).toMatchObject({ verdict: 'passed', findings: [] });
});

test('every kind of damage is healed from the second repository, and then the newest point can be restored', async () => {
  const { copy, offsite } = await pair();
  const [segment, other] = copy.segments().slice(-3) as [string, string];
  const { era, id } = stage.second;
  const harmed = [
    eraKey('shop', era),
    copy.partOf(id),
    copy.keys(new RegExp(`/base/${id}/backup_manifest`))[0] as string,
    copy.walKeyOf(segment),
    copy.walKeyOf(other),
    backupKey('shop', era, id),
    'README.txt',
  ] as const;
  copy.flip(harmed[0]);
  copy.flip(harmed[1]);
  copy.remove(harmed[2]);
  copy.flip(harmed[3]);
  copy.remove(harmed[4]);
  copy.remove(harmed[5]);
  copy.remove(harmed[6]);

  const found = await look(copy, { repair: true });
  expect(found.verdict).toBe('passed');
  expect(found.findings.every(({ repair }) => repair?.outcome === 'repaired')).toBe(true);
  for (const key of harmed) expect([key, same(copy, offsite, key)]).toEqual([key, true]);
  expect(await look(copy)).toMatchObject({ verdict: 'passed', findings: [] });

  const into = join(tempDir(), 'data');
  const alone = { ...copy.cluster, repositories: [copy.cluster.repository] };
  const plan = await planRestore(alone, { target: parseTarget('latest'), into }, quietRun());
  expect(plan.backupId).toBe(id);
  await startRestore(alone, plan.id, quietRun());
  expect(await ask(stage.server.bin, into, 'SELECT count(*)::int AS n FROM kept')).toEqual([{ n: 5 }]);
});

test('a damaged object stays while the other repository has no whole copy of it', async () => {
  const { copy, offsite } = await pair();
  const object = copy.walKeyOf(copy.segments().at(-1) as string);
  copy.flip(object);
  offsite.flip(object);
  const before = readFileSync(join(copy.folder, object));
  const found = await look(copy, { repair: true });
  expect(found).toMatchObject({ verdict: 'failed', findings: [{ object, repair: { outcome: 'failed' } }] });
  expect(Buffer.compare(readFileSync(join(copy.folder, object)), before)).toBe(0);
});

test('what no other repository has is said, and stays as it is', async () => {
  const { copy, offsite } = await pair();
  const object = copy.partOf(stage.first.id);
  copy.flip(object);
  offsite.remove(object);
  const found = await look(copy, { repair: true });
  expect(found).toMatchObject({ verdict: 'failed', findings: [{ object, repair: { outcome: 'no-source' } }] });
  expect(copy.has(object)).toBe(true);
});

test('a copy that is spoiled on its way does not stay, and is not called repaired', async () => {
  const { copy } = await pair();
  const object = copy.partOf(stage.first.id);
  copy.remove(object);
  const { repository } = copy.cluster;
  const store = faulty(repository.store, [{ on: 'create', fault: { kind: 'truncate', bytes: 500 } }]);
  const spoiling = { ...repository, store };
  const found = await look({ cluster: { ...copy.cluster, repository: spoiling } }, { repair: true });
  expect(found).toMatchObject({ verdict: 'failed', findings: [{ object, repair: { outcome: 'failed' } }] });
  expect(copy.has(object)).toBe(false);
});

test('an object under a retention lock is reported as retained', async () => {
  const { copy } = await pair();
  const object = copy.partOf(stage.first.id);
  copy.flip(object);
  const { repository } = copy.cluster;
  const error = new PgproofError('object-retained', 'it is retained until 2027-01-01');
  const locked = { ...repository, store: faulty(repository.store, [{ on: 'remove', fault: { kind: 'fail', error } }]) };
  const found = await look({ cluster: { ...copy.cluster, repository: locked } }, { repair: true });
  const repair = { outcome: 'retained', from: 'offsite', detail: expect.stringContaining('until 2027-01-01') };
  expect(found).toMatchObject({ verdict: 'failed', findings: [{ object, repair }] });
});

test('a backup that was deleted elsewhere does not come back', async () => {
  const { copy, offsite } = await pair();
  const { era, id } = stage.first;
  const object = backupKey('shop', era, id);
  copy.remove(object);
  offsite.write(object.replace('.json', '.0a0b0c0d.deleted.json'), '{}');
  const found = await look(copy, { repair: true });
  expect(found.findings).toMatchObject([
    { object, repair: { outcome: 'failed', detail: expect.stringContaining('was deleted') } },
  ]);
  expect(copy.has(object)).toBe(false);
});

test('a backup that is deleted elsewhere while it is put back is taken away again', async () => {
  const { copy, offsite } = await pair();
  const { era, id } = stage.first;
  const object = backupKey('shop', era, id);
  copy.remove(object);
  const there = offsite.cluster.repository;
  let reads = 0;
  const store = storeWith(there.store, {
    read: (key, options) => {
      if (key === object) reads += 1;
      if (reads === 2) offsite.write(object.replace('.json', '.0a0b0c0d.deleted.json'), '{}');
      return there.store.read(key, options);
    },
  });
  const repositories = [copy.cluster.repository, { ...there, store }];
  const found = await look({ cluster: { ...copy.cluster, repositories } }, { repair: true });
  expect(found).toMatchObject({ verdict: 'failed', findings: [{ object, repair: { outcome: 'failed' } }] });
  expect(copy.has(object)).toBe(false);
});

test('a commit file comes back only with the WAL that its backup needs', async () => {
  const { copy, offsite } = await pair();
  const { era, id, startLsn, timeline, segmentBytes } = stage.first;
  const needed = copy.walKeyOf(segmentNameAt(startLsn as Lsn, timeline, segmentBytes));
  for (const each of [copy, offsite]) each.remove(needed);
  const object = backupKey('shop', era, id);
  copy.remove(object);
  const found = await look(copy, { repair: true });
  expect(found.verdict).toBe('failed');
  expect(found.findings.find((finding) => finding.object === object)?.repair).toMatchObject({ outcome: 'failed' });
  expect(existsSync(join(copy.folder, object))).toBe(false);
});

test('a commit file comes back with the parts that went with it', async () => {
  const { copy, offsite } = await pair();
  const { era, id } = stage.first;
  const gone = [backupKey('shop', era, id), ...copy.keys(new RegExp(`/base/${id}/`))];
  for (const key of gone) copy.remove(key);
  const found = await look(copy, { repair: true });
  expect(found).toMatchObject({ verdict: 'passed', findings: [{ object: gone[0], repair: { outcome: 'repaired' } }] });
  for (const key of gone) expect(same(copy, offsite, key)).toBe(true);
});

test('without --repair nothing is touched', async () => {
  const { copy } = await pair();
  const object = copy.partOf(stage.first.id);
  copy.remove(object);
  expect(await look(copy)).toMatchObject({ verdict: 'failed', findings: [{ object, repair: null }] });
  expect(copy.has(object)).toBe(false);
});
