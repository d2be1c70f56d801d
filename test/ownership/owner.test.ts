import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { check } from '../../check/check.ts';
import { declareEraInAll } from '../../repository/eras.ts';
import { noKeys } from '../../repository/keys.ts';
import { ownerPrefix, reportPrefix } from '../../repository/layout.ts';
import { assertOwner, readOwner, takeOwnership, type Writer } from '../../repository/owner.ts';
import { initRepository } from '../../repository/repository.ts';
import { faulty } from '../../storage/fault.ts';
import { reportedVerify } from '../../verify/verify.ts';
import { shipOnce } from '../../wal/shipper.ts';
import { walStatus } from '../../wal/status.ts';
import { pgproof } from '../client/cli.ts';
import { copy, openTwo } from '../copy/support.ts';
import { both, cluster, eraFacts, keysUnder, newKeys, newRepository } from '../repository/support.ts';
import { quietRun } from '../support/run.ts';
import { tempDir } from '../support/temp.ts';
import { openArchive, seg, segmentOf } from '../wal/support.ts';

const writer = (fleet: string, more: Partial<Writer> = {}): Writer => ({
  name: cluster,
  fleet,
  host: 'db-7',
  keys: noKeys,
  ...more,
});
const other = { code: 'owner-other', permanent: true };

test('the first fleet that writes claims the cluster, and another one is refused until it takes it', async () => {
  const repository = await newRepository();
  await assertOwner(repository, writer('main'));
  await assertOwner(repository, writer('main', { host: 'db-8' }));
  await expect(assertOwner(repository, writer('lab'))).rejects.toMatchObject({
    ...other,
    message: expect.stringMatching(/^cluster 'shop' in repository 'local' belongs to fleet 'main', since 20/),
    hint: expect.stringContaining('pgproof owner take shop'),
  });
  const before = await takeOwnership(repository, { writer: writer('lab'), reason: 'main is gone' });
  expect(before).toMatchObject({ fleet: 'main', by: 'db-7' });
  await assertOwner(repository, writer('lab'));
  await expect(assertOwner(repository, writer('main'))).rejects.toMatchObject(other);
  expect(await readOwner(repository, cluster)).toMatchObject({ fleet: 'lab', reason: 'main is gone' });
});

test('two fleets of one name are told apart by the key, which its rotation does not change', async () => {
  const repository = await newRepository();
  const keys = await newKeys();
  await assertOwner(repository, writer('main', { keys }));
  await assertOwner(repository, writer('main', { keys: { ...keys, current: null } }));
  await expect(assertOwner(repository, writer('main', { keys: await newKeys() }))).rejects.toMatchObject({
    ...other,
    message: expect.stringContaining("another fleet that is called 'main', too"),
  });
});

test('of two fleets that claim at once, in a store that replaces objects, one is refused at its next look', async () => {
  const repository = await newRepository();
  const store = faulty(repository.store, [{ on: 'create', fault: { kind: 'replace' } }]);
  const first = faulty(store, [{ on: 'list', fault: { kind: 'forget' }, times: 1 }]);
  const second = faulty(store, [{ on: 'list', fault: { kind: 'forget' }, times: 1 }]);
  await assertOwner({ ...repository, store: first }, writer('main'));
  await assertOwner({ ...repository, store: second }, writer('lab'));
  await expect(assertOwner(repository, writer('main'))).rejects.toMatchObject(other);
});

test('no era is declared in a repository where the cluster is another fleet’s', async () => {
  const [near, far] = [await newRepository(), await newRepository()];
  await assertOwner(far, writer('lab'));
  const declaring = declareEraInAll([near, far], { ...both(noKeys), ...writer('main') }, eraFacts);
  await expect(declaring).rejects.toMatchObject(other);
  expect(await keysUnder(near, `${cluster}/eras/`)).toEqual([]);
});

test('WAL of another fleet stays in its spool', async () => {
  const archive = await openArchive(tempDir(), { key: true });
  archive.publish(seg(1), segmentOf(seg(1)));
  await takeOwnership(archive.cluster.repository, { writer: { ...archive.cluster, fleet: 'lab' }, reason: null });
  const pass = await shipOnce(archive.cluster, { signal: new AbortController().signal });
  expect(pass).toMatchObject({ shipped: [], error: other });
  expect(archive.waiting()).toEqual([seg(1)]);
});

test('check and wal status name the repository whose cluster is another fleet’s, with the verb that takes it over', async () => {
  const { cluster: shop } = await openArchive(tempDir(), { key: true });
  const looking = new AbortController().signal;
  const problems = async () => {
    const findings = (await check(shop, { signal: looking })).filter(({ name }) => name === 'owner');
    const told = (await walStatus(shop)).problems.filter(({ code }) => code === 'owner-other');
    return { findings, told };
  };
  expect(await problems()).toMatchObject({ findings: [{ status: 'ok' }], told: [] });
  await takeOwnership(shop.repository, { writer: { ...shop, fleet: 'lab' }, reason: null });
  const belongs = expect.stringMatching(/^cluster 'shop' in repository 'local' belongs to fleet 'lab', since 20/);
  const verb = expect.stringContaining('pgproof owner take shop');
  expect(await problems()).toMatchObject({
    findings: [{ status: 'problem', detail: belongs, fix: verb }],
    told: [{ message: belongs, hint: verb }],
  });
});

test('nothing is copied into another fleet’s repository', async () => {
  const two = await openTwo();
  await assertOwner(two.to, writer('lab'));
  expect(await copy(two)).toMatchObject({ outcome: 'failed', error: { code: 'owner-other' } });
  expect(await keysUnder(two.to, '')).toEqual([
    'README.txt',
    'pgproof-repository.json',
    expect.stringContaining(ownerPrefix(cluster)),
  ]);
});

test('nothing of another fleet is repaired, and no report is left among its own', async () => {
  const { cluster: shop } = await openArchive(tempDir(), { key: true });
  await takeOwnership(shop.repository, { writer: { ...shop, fleet: 'lab' }, reason: null });
  const asked = { repository: null, share: 100, restore: false, backup: null, reason: null, requestedBy: null };
  const repair = reportedVerify(shop, { ...asked, repair: true }, quietRun(), null);
  await expect(repair).rejects.toMatchObject(other);
  expect(await keysUnder(shop.repository, reportPrefix(cluster))).toEqual([]);
  expect(await reportedVerify(shop, { ...asked, repair: false }, quietRun(), null)).toMatchObject({
    repository: 'local',
  });
});

test('a process that is none of the hosts of its configuration writes nothing, whatever it is asked for', async () => {
  const dir = tempDir();
  const configFile = join(dir, 'pgproof.yaml');
  const place = { type: 'file', path: join(dir, 'repository') } as const;
  const repository = await initRepository('local', place);
  mkdirSync(join(dir, 'state'));
  const shop = { host: 'db-7', connection: { socket: dir }, repositories: ['local'] };
  const hosts = { 'db-7': { state: join(dir, 'state') } };
  writeFileSync(configFile, JSON.stringify({ hosts, repositories: { local: place }, clusters: { shop } }));
  const before = await keysUnder(repository, '');
  const verbs = [
    ['backup', 'shop', '--offline'],
    ['drill', 'shop', '--offline'],
    ['copy', 'shop', '--offline'],
    ['expire', 'shop', '--offline'],
    ['verify', 'shop', '--offline', '--repair'],
    ['era', 'new', 'shop'],
    ['hold', 'add', 'shop', '2026', '--reason', 'x'],
    ['owner', 'take', 'shop'],
    ['restore', 'plan', 'shop', '--to', 'latest', '--into', join(dir, 'into')],
    ['worker'],
  ];
  const answers = await Promise.all(
    verbs.map((verb) => pgproof([...verb, '--config', configFile, '--host', 'stranger'])),
  );
  for (const [index, { code, json }] of answers.entries())
    expect({ verb: verbs[index], code, json }).toMatchObject({ code: 2, json: { error: { code: 'host-unknown' } } });
  expect(await keysUnder(repository, '')).toEqual(before);
});
