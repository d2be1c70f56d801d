import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { copyRepository } from '../../copy/copy.ts';
import { dumpResult } from '../../core/report.ts';
import { inRepository } from '../../postgres/cluster.ts';
import { reported } from '../../report/file.ts';
import { type DumpStream, dumpKey, dumpPartPrefix, dumpPrefix, tombstoneKey } from '../../repository/layout.ts';
import type { DumpRecord } from '../../repository/record.ts';
import type { VerifyOptions } from '../../verify/repository.ts';
import { directoryDump, dumpBy, dumpIdOf, putDump } from '../dumps/support.ts';
import { bytesOf, keysUnder } from '../repository/support.ts';
import { alternate } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { storeWith } from '../support/store-with.ts';
import { look } from './support.ts';

/* Dumps of one database, in each form, as they are stored. */

const [major] = alternate(1) as [string];
let stage: Stage;
let custom: Buffer;
let sql: Buffer;
let globals: Buffer;

beforeAll(async () => {
  stage = await openStage({ major, offsite: true });
  await stage.server.sql('CREATE TABLE kept AS SELECT n, md5(n::text) FROM generate_series(1, 20000) AS n');
  custom = await dumpBy(stage.server, 'pg_dump', '--format=custom', '--dbname=postgres');
  sql = await dumpBy(stage.server, 'pg_dump', '--dbname=postgres');
  globals = await dumpBy(stage.server, 'pg_dumpall', '--globals-only');
});
afterAll(() => stage.dispose());

const [archive, tar, plain, folder] = [dumpIdOf(1), dumpIdOf(2), dumpIdOf(3), dumpIdOf(5)] as const;
const here = () => stage.cluster;
const fileOf = (key: string) => join(here().repository.location, key);
const lookHere = (options: Partial<VerifyOptions> = {}) => look({ cluster: here() }, options);

const put = (
  id: string,
  bytes: Buffer,
  changes: Omit<Partial<DumpRecord>, 'globals'> & { partBytes?: number; stream?: DumpStream } = {},
) =>
  putDump(here().repository, here().keys, id, bytes, {
    ...{ toolVersion: `${major}.1`, stream: changes.format === 'plain' ? 'dump.sql' : 'dump.custom' },
    ...{ database: changes.format ?? 'custom', globals },
    ...changes,
  });

beforeEach(async () => {
  for (const repository of here().repositories)
    for (const folder of ['dumps', 'reports'])
      for (const key of await keysUnder(repository, `shop/${folder}/`)) await repository.store.remove(key);
  await put(archive, custom, { partBytes: 100_000 });
  await put(plain, sql, { format: 'plain' });
});

function flip(key: string): void {
  const bytes = readFileSync(fileOf(key));
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  rmSync(fileOf(key));
  writeFileSync(fileOf(key), bytes);
}
const keysOf = (id: string) => keysUnder(here().repository, dumpPartPrefix('shop', id));
const keyOf = async (id: string, name: string) => (await keysOf(id)).find((key) => key.includes(name)) as string;

async function toOffsite(): Promise<void> {
  const [from, to] = here().repositories as [Stage['cluster']['repository'], Stage['cluster']['repository']];
  const { outcome } = await copyRepository({ ...here(), from, to, cluster: 'shop' }, quietRun());
  expect(outcome).toBe('complete');
}

/** As `dump` tells of it. */
async function report(id: string): Promise<void> {
  const result = dumpResult.parse({
    ...{ id, kind: 'database', database: 'shop', tier: 'daily', format: 'custom', compression: 'zstd:3', sizeBytes: 1 },
    ...{ storedBytes: 1, globalsBytes: null, sha256: '', entries: 1, durationSeconds: 1, cipher: 'none' },
    ...{ startedAt: '2026-11-21T02:00:00.000Z', serverVersion: null, toolVersion: null, repositories: ['local'] },
  });
  const order = { operation: 'dump', workflow: null, requestedBy: 'nobody', reason: null } as const;
  await reported(here(), order, async () => ({ status: 'SUCCESS', result }));
}

test('whole dumps pass, every byte of them was read, and --restore reads the newest of each database to its end', async () => {
  await put(tar, await dumpBy(stage.server, 'pg_dump', '--format=tar', '--dbname=postgres'), { format: 'tar' });
  await put(folder, await directoryDump(stage.server), { format: 'directory', stream: 'dump.directory.tar' });
  const found = await lookHere({ restore: true });
  expect(found).toMatchObject({ verdict: 'passed', findings: [], foreignObjects: 0, unpacked: [], complete: true });
  const objects = (await Promise.all([archive, tar, plain, folder].map(keysOf))).flat().length;
  expect(objects).toBeGreaterThan(6); // the first is in parts
  expect(found).toMatchObject({ objects, readObjects: objects, dumpsRead: [archive, tar, plain, folder] });
  expect(readdirSync(here().paths.drills)).toEqual([]);
  expect(found.readBytes).toBe(found.bytes);
  expect(await lookHere({ restore: true, backup: plain.slice(0, 8) })).toMatchObject({ dumpsRead: [plain] });
});

test('damage of a dump is named with what it makes unrestorable, by its names alone where a name says it', async () => {
  const [part, cut] = [await keyOf(archive, 'custom.2'), await keyOf(plain, 'globals')];
  flip(part);
  writeFileSync(`${fileOf(cut)}-cut`, readFileSync(fileOf(cut)).subarray(0, 100));
  rmSync(fileOf(cut));
  writeFileSync(fileOf(cut), readFileSync(`${fileOf(cut)}-cut`));
  rmSync(`${fileOf(cut)}-cut`);
  const found = await lookHere();
  expect(found.verdict).toBe('failed');
  expect(found.findings).toMatchObject([
    { object: part, kind: 'damaged', affects: { dumps: [archive], globals: [], backups: [] } },
    {
      object: cut,
      kind: 'damaged',
      affects: { dumps: [], globals: [plain] },
      why: expect.stringMatching(/^it has 100/),
    },
  ]);
  const names = await lookHere({ share: 0.001 });
  expect(names.findings).toMatchObject([{ object: cut }]);
});

test('scenario 12: a dump whose commit file is gone is missing, when a report tells of it', async () => {
  await report(archive);
  rmSync(fileOf(dumpKey('shop', archive)));
  expect((await lookHere()).findings).toMatchObject([
    { object: dumpKey('shop', archive), kind: 'missing', affects: { dumps: [archive] } },
  ]);
});

test('what is not whole in a dump is healed from another repository, its commit file last', async () => {
  await report(archive);
  await toOffsite();
  rmSync(fileOf(dumpKey('shop', archive)));
  flip(await keyOf(archive, 'custom.1'));
  rmSync(fileOf(await keyOf(plain, 'dump.sql')));
  const healed = await lookHere({ repair: true });
  expect(healed).toMatchObject({ verdict: 'passed' });
  expect(healed.findings.map(({ repair }) => repair?.outcome)).toEqual(['repaired', 'repaired']);
  expect(await lookHere({ restore: true })).toMatchObject({
    verdict: 'passed',
    findings: [],
    dumpsRead: [archive, plain],
  });
});

test('a dump that was deleted elsewhere does not come back by a repair', async () => {
  await report(archive);
  await toOffsite();
  const tombstone = { formatVersion: 1, id: archive, deletedAt: '2026-11-23T15:00:00.000Z', reason: 'expired' };
  const { store } = here().repositories[1] as Stage['cluster']['repository'];
  await store.create(tombstoneKey(dumpPrefix('shop'), archive, '0000000e'), bytesOf(JSON.stringify(tombstone)));
  rmSync(fileOf(dumpKey('shop', archive)));
  const found = await lookHere({ repair: true });
  expect(found.findings).toMatchObject([
    { repair: { outcome: 'failed', detail: 'offsite: the dump was deleted in repository offsite' } },
  ]);
});

test.each(['custom', 'plain'] as const)(
  'a dump of format %s that was cut before it was stored passes by its checksums, and not by --restore',
  async (format) => {
    const whole = format === 'plain' ? sql : custom;
    await put(dumpIdOf(4), whole.subarray(0, whole.length - 40), { format });
    expect(await lookHere()).toMatchObject({ verdict: 'passed' });
    const found = await lookHere({ restore: true });
    expect(found.findings).toMatchObject([
      { object: dumpKey('shop', dumpIdOf(4)), kind: 'damaged', affects: { dumps: [dumpIdOf(4)] } },
    ]);
  },
);

test('a dump that is deleted while it is looked at is no damage', async () => {
  const part = await keyOf(archive, 'custom.1');
  rmSync(fileOf(part));
  const { repository } = here();
  const tombstone = { formatVersion: 1, id: archive, deletedAt: '2026-11-23T15:00:00.000Z', reason: 'expired' };
  const list: typeof repository.store.list = async function* (prefix, options) {
    yield* repository.store.list(prefix, options);
    if (prefix !== '') return;
    const bytes = bytesOf(JSON.stringify(tombstone));
    await repository.store.create(tombstoneKey(dumpPrefix('shop'), archive, '0000000e'), bytes);
  };
  const { store: own } = repository;
  const store = storeWith(own, {
    list,
  });
  const found = await look({ cluster: inRepository(here(), { ...repository, store }) });
  expect(found).toMatchObject({
    verdict: 'passed',
    notes: [`Dump ${archive} was deleted while this run looked at it.`],
  });
});

test('parts without a commit file are noted; what should have been cleared away long ago is foreign, and does no harm', async () => {
  const [young, old] = [dumpIdOf(0), '20261101T020000Z-logical-3fa94d1f'];
  for (const id of [young, old])
    await here().repository.store.create(`${dumpPartPrefix('shop', id)}dump.custom.1.zst.enc`, bytesOf('part'));
  const found = await lookHere();
  expect(found).toMatchObject({
    verdict: 'passed',
    findings: [{ object: dumpPartPrefix('shop', old), kind: 'foreign' }],
  });
  expect(found.notes).toEqual([expect.stringContaining(`${young} has parts and no commit file`)]);
});
