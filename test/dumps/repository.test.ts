import { expect, test } from 'vitest';
import { readStream } from '../../parts/stream.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { reapLeftovers } from '../../repository/commit.ts';
import { chooseDump, commitDump, listDumps } from '../../repository/dumps.ts';
import { holdEverything, listHolds, narrowHold, placeHold } from '../../repository/holds.ts';
import { readKeyFile } from '../../repository/key-file.ts';
import { rotateKeyFile } from '../../repository/key-rotate.ts';
import { testKeys } from '../../repository/key-test.ts';
import { noKeys } from '../../repository/keys.ts';
import { dumpKey, dumpPartPrefix, dumpPrefix, tombstoneKey } from '../../repository/layout.ts';
import { findDumpIn, listDumpsIn } from '../../repository/merged.ts';
import type { DumpRecord } from '../../repository/record.ts';
import type { Repository } from '../../repository/repository.ts';
import { dumpShelf } from '../../repository/shelf.ts';
import { faulty } from '../../storage/fault.ts';
import { noise } from '../codec/support.ts';
import { bytesOf, cluster, keysUnder, newKeyFile, newKeys, newRepository } from '../repository/support.ts';
import { withRepositories } from '../support/repositories.ts';
import { dumpIdOf, dumpRecordOf, putDump } from './support.ts';

const [one, two, three] = [dumpIdOf(1), dumpIdOf(2), dumpIdOf(3)] as const;
const shelf = dumpShelf(cluster);
const states = async (repository: Repository, keys = noKeys) =>
  (await listDumps(repository, keys, cluster)).map(({ id, state }) => `${id} ${state}`);

test('dumps are listed by when they were taken, whenever they were taken over; one that was deleted is not', async () => {
  const repository = await newRepository();
  await putDump(repository, noKeys, one, noise(1000));
  await putDump(repository, noKeys, two, noise(1000));
  await putDump(repository, noKeys, three, noise(1000), { startedAt: '2024-01-01T02:00:00.000Z' });
  expect(await states(repository)).toEqual([`${three} whole`, `${one} whole`, `${two} whole`]);
  const tombstone = { formatVersion: 1, id: one, deletedAt: '2026-11-23T15:00:00.000Z', reason: 'expired' };
  await repository.store.create(tombstoneKey(dumpPrefix(cluster), one, '0000000e'), bytesOf(JSON.stringify(tombstone)));
  expect(await states(repository)).toEqual([`${three} whole`, `${two} whole`]);
});

test('a dump is found by its id or a beginning that only one has', async () => {
  const repository = await newRepository();
  for (const id of [one, two]) await putDump(repository, noKeys, id, noise(1000));
  const entries = await listDumps(repository, noKeys, cluster);
  expect(chooseDump(entries, cluster, two.slice(0, 8)).id).toBe(two);
  expect(() => chooseDump(entries, cluster, '2026')).toThrow(`'2026' begins 2 dumps of 'shop'`);
  expect(() => chooseDump(entries, cluster, '2027')).toThrow(`cluster 'shop' has no dump '2027'`);
});

test('scenario 12: a commit file of a dump that was changed, cut or swapped is damaged, and never used', async () => {
  const keys = await newKeys();
  const repository = await newRepository();
  const signed = await putDump(repository, keys, one, noise(1000));
  const foreign: DumpRecord = {
    ...signed,
    dump: { ...signed.dump, parts: [{ ...part(signed), key: 'shop/dumps/x' }] },
  };
  const { signature: _, ...unsigned } = foreign;
  for (const [document, code] of [
    [{ ...signed, database: 'other' }, 'signature-invalid'],
    [{ ...signed, signature: null }, 'signature-invalid'],
    [{ ...signed, formatVersion: 2 }, 'repository-format'],
    [{ ...signed, dump: null }, 'record-invalid'],
  ] as const) {
    await repository.store.remove(dumpKey(cluster, one));
    await repository.store.create(dumpKey(cluster, one), bytesOf(JSON.stringify(document)));
    const entries = await listDumps(repository, keys, cluster);
    expect(entries).toMatchObject([{ id: one, state: 'damaged', error: { code } }]);
    expect(() => chooseDump(entries, cluster, one)).toThrow(entries[0]?.state === 'damaged' ? entries[0].error : Error);
  }
  // Signed by us, and speaking of objects of somebody else.
  await commitDump(repository, keys, { ...unsigned, id: two });
  expect(await states(repository, keys)).toContain(`${two} damaged`);
});

const part = ({ dump }: DumpRecord) => dump.parts[0] as DumpRecord['dump']['parts'][0];

test('whatever one repository has not whole, another has; where a record cannot be trusted is told', async () => {
  const [near, far] = [await newRepository(), await newRepository()];
  await putDump(far, noKeys, one, noise(1000));
  await putDump(far, noKeys, two, noise(1000));
  await near.store.create(dumpKey(cluster, two), bytesOf('{}'));
  const all = [
    { ...near, name: 'near' },
    { ...far, name: 'far' },
  ];
  expect((await listDumpsIn(all, noKeys, cluster)).entries).toMatchObject([
    { id: one, state: 'whole', repositories: ['far'], damagedIn: [] },
    { id: two, state: 'whole', repositories: ['far'], damagedIn: [{ repository: 'near' }] },
  ]);
  expect((await findDumpIn(all, noKeys, cluster, two)).id).toBe(two);
  const away = { ...near, name: 'near', store: faulty(near.store, [{ on: 'list', fault: { kind: 'fail' } }]) };
  const asked = await listDumpsIn([away, all[1] as Repository], noKeys, cluster);
  expect(asked).toMatchObject({ entries: [{ id: one }, { id: two }], unasked: [{ repository: 'near' }] });
});

test('a commit that was given up fails; what an attempt left is reaped, and nothing that exists', async () => {
  const repository = await newRepository();
  await putDump(repository, noKeys, one, noise(1000));
  const left = `${dumpPartPrefix(cluster, two)}dump.custom.1.zst`;
  await repository.store.create(left, bytesOf('part'));
  expect(await reapLeftovers(repository, shelf, { except: [two] })).toEqual([]);
  expect(await reapLeftovers(repository, shelf, { except: [], mayReap: (id) => id !== two })).toEqual([]);
  expect(await reapLeftovers(repository, shelf, { except: [] })).toEqual([two]);
  expect(await keysUnder(repository, dumpPartPrefix(cluster, two))).toEqual([]);
  await expect(commitDump(repository, noKeys, dumpRecordOf(two))).rejects.toMatchObject({
    code: 'backup-deleted',
    message: `dump ${two} was given up while it was being finished`,
  });
  expect(await states(repository)).toEqual([`${one} whole`]);
});

test('a hold names dumps, a wide one holds them, too; nothing is held of what is being deleted', async () => {
  const repository = await newRepository();
  await putDump(repository, noKeys, one, noise(1000));
  const order = { cluster, operation: 'drill', by: 'db-7', reason: null, seconds: 60 } as const;
  await placeHold(repository, { ...order, needs: [], dumps: [one] });
  const wide = await holdEverything(repository, order);
  await narrowHold(repository, wide, { needs: [], dumps: [one], seconds: 60 });
  expect(await listHolds(repository, cluster)).toMatchObject([{ dumps: [one] }, { dumps: [one] }]);
  await expect(placeHold(repository, { ...order, needs: [], dumps: [one, two] })).rejects.toMatchObject({
    code: 'backup-deleted',
    facts: { dumps: [two] },
  });
  expect(await listHolds(repository, cluster)).toHaveLength(2);
});

test('a stream is read whole, in order, over its parts; one that ends otherwise than recorded is an error', async () => {
  const repository = await newRepository();
  const keys = await newKeys();
  const plain = noise(500_000);
  const record = await putDump(repository, keys, one, plain, { partBytes: 100_000 });
  expect(record.dump.parts.length).toBeGreaterThan(3);
  const opened = { keys, ...withRepositories([repository]) } as ProtectedCluster;
  const run = { signal: new AbortController().signal, progress: () => {} };
  const read = async (stream: DumpRecord['dump']): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    await readStream(opened, record, stream, run, async (chunk) => void chunks.push(chunk));
    return Buffer.concat(chunks);
  };
  expect((await read(record.dump)).equals(plain)).toBe(true);
  for (const parts of [record.dump.parts.slice(1), record.dump.parts.toReversed()])
    await expect(read({ ...record.dump, parts })).rejects.toMatchObject({ code: 'object-damaged' });
});

test('a stream that turns out to be wrong in the midst begins again from the next repository', async () => {
  const [near, far] = [await newRepository(), await newRepository()];
  const plain = noise(400_000);
  const { dump, ...record } = await putDump(far, noKeys, one, plain);
  const other = await putDump(near, noKeys, one, noise(400_000, 2));
  expect(other.dump.parts[0]?.storedBytes).toBe(dump.parts[0]?.storedBytes);
  const repositories: [Repository, Repository] = [
    { ...near, name: 'near' },
    { ...far, name: 'far' },
  ];
  const opened = { keys: noKeys, ...withRepositories(repositories) } as ProtectedCluster;
  const run = { signal: new AbortController().signal, progress: () => {} };
  let chunks: Buffer[] = [];
  const take = async (chunk: Buffer) => void chunks.push(chunk);
  await readStream(opened, record, dump, run, take, {
    again: async () => {
      chunks = [];
    },
  });
  expect(Buffer.concat(chunks).equals(plain)).toBe(true);
  await expect(readStream(opened, record, dump, run, take)).rejects.toMatchObject({ code: 'object-damaged' });
});

test('key test says of the newest dump of each key set whether it opens, and names records that no key at hand signed', async () => {
  const repository = await newRepository();
  const file = await newKeyFile();
  const first = await readKeyFile(file);
  for (const id of [one, two]) await putDump(repository, first, id, noise(1000));
  await rotateKeyFile(file);
  const both = await readKeyFile(file);
  await putDump(repository, both, three, noise(1000));
  expect(await testKeys(repository, { keys: both, walKeys: both }, cluster)).toMatchObject([
    { what: `dump ${two}`, keyId: first.current?.id, error: null },
    { what: `dump ${three}`, keyId: both.current?.id, error: null },
  ]);
  expect(await testKeys(repository, { keys: first, walKeys: first }, cluster)).toMatchObject([
    { what: `dump ${three}`, error: { code: 'key-missing' } },
    { what: `dump ${two}`, error: null },
  ]);
});
