import { once } from 'node:events';
import { readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import { currentEra } from '../../repository/eras.ts';
import { listWal, putHistory, putSegment } from '../../repository/wal.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { readFrontier } from '../../wal/frontier.ts';
import { discardConflict, listConflicts } from '../../wal/quarantine.ts';
import { runShipper, type ShipPass, type Shipped, shipOnce } from '../../wal/shipper.ts';
import { readShipperNotes } from '../../wal/shipper-notes.ts';
import { isSpoolLocked } from '../../wal/spool-lock.ts';
import { withStore } from '../support/repositories.ts';
import { tempDir } from '../support/temp.ts';
import { dieShipping, kill, type Moment, startShipper } from './killed-shipper.ts';
import { type Archive, newEra, openArchive, seg, segmentOf, signal } from './support.ts';

const codes = (files: { file: string; error: PgproofError }[]) =>
  Object.fromEntries(files.map(({ file, error }) => [file, error.code]));

/** Puts some segments into the spool; answers them by name. */
function fill({ publish }: Archive, numbers: readonly number[], timeline = 1): Map<string, Buffer> {
  const contents = new Map(
    numbers.map((number) => [seg(number, timeline) as string, segmentOf(seg(number, timeline))]),
  );
  for (const [name, content] of contents) publish(name, content);
  return contents;
}

async function expectArchived(archive: Archive, contents: Map<string, Buffer>): Promise<void> {
  for (const [name, content] of contents) expect(content.equals(await archive.content(name))).toBe(true);
}

const with_ = (archive: Archive, methods: Partial<ObjectStore>): Archive => {
  const { repository } = archive.cluster;
  const { create, read, list, remove } = repository.store;
  const store = { create, read, list, remove, ...methods };
  for (const name of ['create', 'read', 'list', 'remove'] as const) {
    store[name] = (methods[name] ?? repository.store[name].bind(repository.store)) as never;
  }
  return { ...archive, cluster: withStore(archive.cluster, store) };
};

test.each([true, false])('what lay in the spool lies in the archive, byte for byte (key: %s)', async (key) => {
  const archive = await openArchive(tempDir(), { key });
  const contents = fill(archive, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const pass = await shipOnce(archive.cluster, { signal });
  expect(pass).toMatchObject({ refused: [], waiting: [], conflicts: [], error: null });
  expect(pass.shipped.sort()).toEqual([...contents.keys()]);
  expect(archive.waiting()).toEqual([]);
  await expectArchived(archive, contents);
  expect(await readFrontier(archive.cluster)).toMatchObject({ lsn: '0/A00000', missing: [] });
});

test('scenario 3: a segment that was stored before the answer got lost is shipped again, and is one', async () => {
  const archive = await openArchive(tempDir(), { key: true });
  const contents = fill(archive, [1, 2]);
  const { repository, keys, name } = archive.cluster;
  const era = (await currentEra(repository, name))?.era as string;
  await putSegment(repository, keys, name, era, seg(1), contents.get(seg(1)) as Buffer);
  const pass = await shipOnce(archive.cluster, { signal });
  expect(pass).toMatchObject({ shipped: [seg(1), seg(2)], conflicts: [], error: null });
  expect(archive.waiting()).toEqual([]);
  expect(await archive.archived()).toEqual({ [seg(1)]: 1, [seg(2)]: 1 });
});

test('scenario 3: a shipper that is killed again and again loses nothing', async () => {
  const dir = tempDir();
  const archive = await openArchive(dir, { key: true });
  const contents = fill(
    archive,
    Array.from({ length: 16 }, (_, index) => index + 1),
  );
  const moments: Moment[] = [
    ['before', 1],
    ['after', 1],
    ['after', 6],
  ];
  for (const moment of moments) {
    await dieShipping(dir, 'one', moment);
    expect(archive.waiting()).not.toEqual([]);
    const archived = await archive.archived();
    for (const name of contents.keys()) expect(archived[name] === 1 || archive.waiting().includes(name)).toBe(true);
  }
  await shipWhenFree(archive);
  expect(Object.keys(await archive.archived())).toEqual([...contents.keys()]);
  await expectArchived(archive, contents);
});

test('a second shipper is told that the spool is busy, until the first one dies', async () => {
  const dir = tempDir();
  const archive = await openArchive(dir, { key: true });
  const shipper = startShipper(dir);
  await once(shipper.stdout as NodeJS.ReadableStream, 'data');
  expect(await isSpoolLocked(archive.spool.root)).toBe(true);
  await expect(shipOnce(archive.cluster, { signal })).rejects.toMatchObject({ code: 'spool-busy' });
  await kill(shipper);
  fill(archive, [1]);
  expect(await shipWhenFree(archive)).toMatchObject({ shipped: [seg(1)] });
});

test('while a backlog drains after an outage, the shipper no longer tells of it', async () => {
  const archive = await openArchive(tempDir(), { key: true });
  const contents = fill(archive, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const ended = new AbortController();
  const notes = () => readShipperNotes(archive.cluster.paths.state, 'local');
  let isAway = true;
  let failures = 0;
  const store = with_(archive, {
    create: async (key, body, options) => {
      if (isAway) throw new PgproofError('store-unreachable', 'the store is away');
      // The pass goes on only once the notes say so.
      if (key.includes(seg(9)))
        await vi.waitFor(async () =>
          expect(await notes()).toMatchObject({ lastError: null, lastShipped: expect.stringMatching(/^0{7}1/) }),
        );
      return archive.cluster.repository.store.create(key, body, options);
    },
  });
  await runShipper(store.cluster, {
    signal: ended.signal,
    onPass: ({ error }) => {
      failures += error === null ? 0 : 1;
      isAway = false;
      if (error === null || failures > 1) ended.abort();
    },
  });
  expect(failures).toBe(1);
  await expectArchived(archive, contents);
});

test('nothing leaves the spool when the store fails, and no later segment overtakes', async () => {
  const archive = await openArchive(tempDir(), { key: true });
  const contents = fill(archive, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  const down = with_(archive, {
    create: async () => {
      throw new PgproofError('store-unreachable', 'the store is away');
    },
  });
  const pass = await shipOnce(down.cluster, { signal });
  expect(pass).toMatchObject({ shipped: [], error: { code: 'store-unreachable' } });
  expect(archive.waiting()).toEqual([...contents.keys()]);
  expect((await readShipperNotes(archive.cluster.paths.state, 'local'))?.lastError).toMatchObject({
    code: 'store-unreachable',
    message: 'the store is away',
  });

  const begun: string[] = [];
  const flaky = with_(archive, {
    create: async (key, body, options) => {
      begun.push(key);
      if (key.includes(seg(3))) throw new PgproofError('store-unreachable', 'the store is away');
      return archive.cluster.repository.store.create(key, body, options);
    },
  });
  expect((await shipOnce(flaky.cluster, { signal })).error).toMatchObject({ code: 'store-unreachable' });
  // At most those that were on their way at the same time.
  expect(begun.filter((key) => [8, 9, 10, 11, 12].some((number) => key.includes(seg(number))))).toEqual([]);
  expect(archive.waiting()).toContain(seg(3));
  expect((await shipOnce(archive.cluster, { signal })).error).toBeNull();
  await expectArchived(archive, contents);
});

test('a store that hangs is given up after a while, and the spool keeps what it had', async () => {
  const archive = await openArchive(tempDir(), { key: true });
  fill(archive, [1]);
  const hanging = with_(archive, {
    create: (_key, _body, options) =>
      new Promise((_resolve, reject) =>
        options?.signal?.addEventListener('abort', () => reject(options.signal?.reason)),
      ),
  });
  const pass = await shipOnce(hanging.cluster, { signal, fileTimeoutSeconds: 0.2 });
  expect(pass).toMatchObject({ shipped: [], error: { code: 'store-unreachable' } });
  expect(archive.waiting()).toEqual([seg(1)]);
});

test('scenario 12: a segment whose object is damaged or empty is stored anew while the spool still has it', async () => {
  const dir = tempDir();
  const archive = await openArchive(dir, { key: true });
  const contents = fill(archive, [1, 2]);
  await shipOnce(archive.cluster, { signal });
  const [first, second] = walObjects(dir) as [string, string];
  const bytes = readFileSync(first);
  bytes[5000]! ^= 1;
  writeFileSync(first, bytes);
  truncateSync(second, 0);
  for (const [name, content] of contents) archive.publish(name, content);
  expect(await shipOnce(archive.cluster, { signal })).toMatchObject({ error: null, conflicts: [] });
  await expectArchived(archive, contents);
});

test('scenario 12: a store that takes less than it was given is not believed', async () => {
  const archive = await openArchive(tempDir(), { key: true });
  fill(archive, [1]);
  const cutting = with_(archive, {
    create: (key, body, options) =>
      archive.cluster.repository.store.create(key, (body as Uint8Array).subarray(0, 1000), options),
  });
  expect((await shipOnce(cutting.cluster, { signal })).error).toMatchObject({
    code: 'object-damaged',
    message: expect.stringContaining('took something other than what it was given'),
  });
  expect(archive.waiting()).toEqual([seg(1)]);
  expect(await shipOnce(archive.cluster, { signal })).toMatchObject({ shipped: [seg(1)], error: null });
});

test('scenario 20: the same name with other bytes is kept beside the first, stops the frontier, and a person decides', async () => {
  const archive = await openArchive(tempDir(), { key: true });
  const contents = fill(archive, [1, 2, 3]);
  await shipOnce(archive.cluster, { signal });
  fill(archive, [2]);
  const pass = await shipOnce(archive.cluster, { signal });
  expect(pass.conflicts).toMatchObject([{ code: 'wal-conflict', facts: { segment: seg(2) } }]);
  expect(await archive.archived()).toMatchObject({ [seg(1)]: 1, [seg(2)]: 2 });
  expect(await readFrontier(archive.cluster)).toMatchObject({ lsn: '0/200000', missing: [seg(2)] });

  const { conflicts } = await listConflicts(archive.cluster);
  expect(conflicts).toMatchObject([{ segment: seg(2) }]);
  const tags = conflicts[0]?.tags as string[];
  const wrong = await contentsOtherThan(archive, tags, contents.get(seg(2)) as Buffer);
  await discardConflict(archive.cluster, seg(2), wrong);
  await expectArchived(archive, contents);
  expect((await readFrontier(archive.cluster)).lsn).toBe('0/400000');
  await expect(discardConflict(archive.cluster, seg(2), wrong)).rejects.toMatchObject({ code: 'quarantine-missing' });
  const [last] = tags.filter((tag) => tag !== wrong);
  await expect(discardConflict(archive.cluster, seg(2), last as string)).rejects.toMatchObject({
    code: 'quarantine-missing',
  });
});

test('scenario 22: while the server is down, a timeline nobody vouches for waits, and holds up no other', async () => {
  const archive = await openArchive(tempDir(), { key: true });
  const ours = fill(archive, [1, 2, 3]);
  fill(archive, [2, 3], 2);
  archive.publish('00000002.history', Buffer.from('1\t0/280000\tno recovery target specified\n'));
  const pass = await shipOnce(archive.cluster, { signal });
  expect(pass.shipped).toEqual([...ours.keys()]);
  expect(codes(pass.waiting)).toEqual({
    '00000002.history': 'timeline-not-adopted',
    [seg(2, 2)]: 'timeline-not-adopted',
    [seg(3, 2)]: 'timeline-not-adopted',
  });
  expect(archive.waiting()).toEqual([seg(2, 2), seg(3, 2), '00000002.history'].sort());
  expect(archive.foreign()).toEqual([]);
  expect(await archive.archived()).toEqual({ [seg(1)]: 1, [seg(2)]: 1, [seg(3)]: 1 });
});

test('a timeline with two histories waits until a person has discarded one, and holds up no other', async () => {
  const archive = await openArchive(tempDir(), { key: true });
  const { repository, keys, name } = archive.cluster;
  const era = (await currentEra(repository, name))?.era as string;
  const put = (text: string) => putHistory(repository, keys, name, era, 2, Buffer.from(text));
  await put('1\t0/280000\tours\n');
  const { tag: theirs } = await put('1\t0/380000\ttheirs\n');
  fill(archive, [1, 2]);
  fill(archive, [3], 2);
  const pass = await shipOnce(archive.cluster, { signal });
  expect(pass.shipped).toEqual([seg(1), seg(2)]);
  expect(codes(pass.waiting)).toEqual({ [seg(3, 2)]: 'wal-conflict' });
  await expect(readFrontier(archive.cluster)).rejects.toMatchObject({ code: 'wal-conflict' });
  expect((await listConflicts(archive.cluster)).conflicts).toMatchObject([{ segment: '00000002.history' }]);
  await discardConflict(archive.cluster, '00000002.history', theirs);
  expect((await shipOnce(archive.cluster, { signal })).shipped).toEqual([seg(3, 2)]);
});

test('scenario 21: no WAL enters before an era is declared, and none is lost by it', async () => {
  const archive = await openArchive(tempDir(), { key: true, era: false });
  const contents = fill(archive, [1, 2]);
  expect((await shipOnce(archive.cluster, { signal })).error).toMatchObject({ code: 'era-undeclared' });
  expect(archive.waiting()).toEqual([...contents.keys()]);
  await newEra(archive.cluster);
  expect((await shipOnce(archive.cluster, { signal })).error).toBeNull();
  await expectArchived(archive, contents);
});

test('scenario 21: after a new era, what was left of the old one still goes to the old one', async () => {
  const archive = await openArchive(tempDir(), { key: true });
  const old = (await currentEra(archive.cluster.repository, 'shop'))?.era as string;
  fill(archive, [7]);
  await newEra(archive.cluster, { systemId: '7300000000000000099' });
  archive.publish(seg(1), segmentOf(seg(1), { systemId: '7300000000000000099' }));
  expect((await shipOnce(archive.cluster, { signal })).shipped.sort()).toEqual([seg(1), seg(7)]);
  expect(await archive.archived()).toEqual({ [seg(1)]: 1 });
  expect([...(await listWal(archive.cluster.repository, 'shop', old)).keys()]).toEqual([seg(7)]);
});

test('scenario 24: .backup files are done with, a .partial is kept aside and never archived as a segment', async () => {
  const archive = await openArchive(tempDir(), { key: true });
  archive.publish(`${seg(2)}.00000028.backup`, Buffer.from('START WAL LOCATION: 0/2000028\n'));
  archive.publish(`${seg(3)}.partial`, segmentOf(seg(3)));
  const ours = fill(archive, [3, 4]);
  const pass = await shipOnce(archive.cluster, { signal });
  expect(pass).toMatchObject({ refused: [], waiting: [], error: null });
  expect(archive.waiting()).toEqual([]);
  expect(await archive.archived()).toEqual({ [seg(3)]: 1, [seg(4)]: 1 });
  await expectArchived(archive, ours);
  expect(readdirSync(archive.spool.partial)).toEqual([expect.stringMatching(`^${seg(3)}.partial-[0-9a-f]{32}$`)]);
});

test('what is no WAL of ours is kept aside with its reason, listed, and only a person deletes it', async () => {
  const archive = await openArchive(tempDir(), { key: true });
  archive.publish(seg(1), Buffer.alloc(1024 * 1024));
  archive.publish(seg(2), segmentOf(seg(5)));
  archive.publish(seg(3), segmentOf(seg(3)).subarray(0, 5000));
  archive.publish('notes.txt', Buffer.from('hello'));
  const ours = fill(archive, [4, 5]);
  const pass = await shipOnce(archive.cluster, { signal });
  expect(codes(pass.refused)).toEqual({
    [seg(1)]: 'wal-unreadable',
    [seg(2)]: 'wal-foreign',
    [seg(3)]: 'wal-foreign',
    'notes.txt': 'wal-foreign',
  });
  await expectArchived(archive, ours);
  expect(archive.waiting()).toEqual([]);
  const { foreign } = await listConflicts(archive.cluster);
  expect(foreign.map(({ file }) => file)).toEqual([seg(1), seg(2), seg(3), 'notes.txt']);
  expect(foreign[1]?.reason).toContain('it begins at 0/500000, and its name says 0/200000');
  const { tag } = foreign[0] as { tag: string };
  expect(await discardConflict(archive.cluster, seg(1), tag)).toEqual({ file: seg(1), tag, from: 'foreign' });
  expect(archive.foreign()).toEqual([seg(2), seg(3), 'notes.txt'].sort());
});

test('the shipper outlives an outage of the store, alarms once, and drains in order', async () => {
  const dir = tempDir();
  const archive = await openArchive(dir, { key: true });
  const contents = fill(archive, [1, 2, 3]);
  const repository = join(dir, 'repository');
  renameSync(repository, `${repository}.away`);
  const alarms: string[] = [];
  const passes: ShipPass[] = [];
  const stopped = new AbortController();
  const running = runShipper(archive.cluster, {
    signal: stopped.signal,
    intervalMs: 20,
    onAlarm: ({ code }) => alarms.push(code),
    onPass: (pass) => passes.push(pass),
  });
  const until = async (fact: () => boolean) => {
    while (!fact()) await Promise.race([sleep(10), running]);
  };
  await until(() => passes.length >= 3);
  expect(alarms).toHaveLength(1);
  expect(archive.waiting()).toEqual([...contents.keys()]);
  renameSync(`${repository}.away`, repository);
  for (const [name, content] of fill(archive, [4, 5])) contents.set(name, content);
  await until(() => archive.waiting().length === 0);
  stopped.abort();
  await running;
  await expectArchived(archive, contents);
  expect(alarms).toHaveLength(1);
});

/** The lock of a killed shipper goes when the kernel has ended its child, too. */
async function shipWhenFree(archive: Archive): Promise<Shipped> {
  for (;;) {
    const pass = await shipOnce(archive.cluster, { signal }).catch((error) => error as PgproofError);
    if (!(pass instanceof PgproofError)) return pass;
    expect(pass.code).toBe('spool-busy');
  }
}

/** Paths of the archived segments' objects. */
const walObjects = (dir: string): string[] =>
  readdirSync(join(dir, 'repository'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /^[0-9A-F]{24}-[0-9a-f]{32}/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

/** The tag of the content that is not this one. */
async function contentsOtherThan({ cluster }: Archive, tags: string[], ours: Buffer): Promise<string> {
  const { tagOf } = await import('../../repository/tag.ts');
  const era = (await currentEra(cluster.repository, cluster.name))?.era as string;
  const mine = tagOf(cluster.keys, cluster.name, era, seg(2), ours);
  return tags.find((tag) => tag !== mine) as string;
}
