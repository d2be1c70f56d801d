import { randomBytes } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Lsn } from '../../core/lsn.ts';
import { type SegmentName, segmentEnd, segmentNameAt, segmentStart, segmentsBetween } from '../../core/segment.ts';
import { backupKey, cutKey, eraKey } from '../../repository/layout.ts';
import { putSegment } from '../../repository/wal.ts';
import { faulty } from '../../storage/fault.ts';
import { alternate } from '../support/postgres.ts';
import { type Copy, copyOf, look, offsiteOf, openVerifyStage, type VerifyStage } from './support.ts';

const [major] = alternate(0) as [string];
const segmentBytes = 1 << 20;
let stage: VerifyStage;

beforeAll(async () => {
  stage = await openVerifyStage(major);
});
afterAll(() => stage.dispose());

const noneAffected = { backups: [], cutShort: [], from: null, to: null };
const endOf = ({ stopLsn, stoppedAt }: VerifyStage['first']) => ({ lsn: stopLsn, at: stoppedAt });
/** A segment that no backup needs to become consistent, between the two. */
function segmentBetween(): SegmentName {
  const behindFirst = segmentNameAt(stage.first.stopLsn as Lsn, 1, segmentBytes);
  const names = segmentsBetween(segmentStart(behindFirst, segmentBytes), stage.second.startLsn as Lsn, 1, segmentBytes);
  const [, name] = names as [string, SegmentName];
  expect(name < segmentNameAt(stage.second.startLsn as Lsn, 1, segmentBytes)).toBe(true);
  return name;
}

test('a repository that is whole passes, and every byte of it was read', async () => {
  const copy = await copyOf(stage);
  const found = await look(copy);
  expect(found).toMatchObject({ verdict: 'passed', verdictReason: null, findings: [], unread: [], foreignObjects: 0 });
  const objects = copy.keys(/\/(base|wal)\//);
  expect(found).toMatchObject({ objects: objects.length, readObjects: objects.length });
  expect(found.readBytes).toBe(found.bytes);
});

test('scenario 12: a flipped bit in a part is found, and its backup named with the time that is lost with it', async () => {
  const copy = await copyOf(stage);
  const object = copy.partOf(stage.first.id);
  copy.flip(object);
  const found = await look(copy);
  expect(found.verdict).toBe('failed');
  const affects = { backups: [stage.first.id], cutShort: [], from: endOf(stage.first), to: endOf(stage.second) };
  expect(found.findings).toMatchObject([{ object, kind: 'damaged', affects, why: expect.stringContaining('SHA-256') }]);
});

test('a damaged later backup loses no time: the earlier one reaches it through WAL', async () => {
  const copy = await copyOf(stage);
  copy.flip(copy.partOf(stage.second.id));
  const { findings } = await look(copy);
  expect(findings).toMatchObject([{ affects: { ...noneAffected, backups: [stage.second.id] } }]);
});

test('scenario 12: a part that was cut, and one that is empty, are found by their names alone', async () => {
  const copy = await copyOf(stage);
  const object = copy.partOf(stage.first.id);
  copy.truncate(object, 1000);
  copy.truncate(copy.partOf(stage.second.id), 0);
  const { findings } = await look(copy, { share: 0.001 });
  expect(findings).toMatchObject([
    { object, kind: 'damaged', why: expect.stringMatching(/^it has 1000 bytes, and the record says \d+$/) },
    { object: copy.partOf(stage.second.id), kind: 'damaged', why: expect.stringMatching(/^it has 0 bytes/) },
  ]);
});

test('scenario 17: objects that a lifecycle rule deleted are found by their names alone', async () => {
  const copy = await copyOf(stage);
  const gone = copy.keys(new RegExp(`/base/${stage.first.id}/`));
  for (const key of gone) copy.remove(key);
  const { verdict, findings } = await look(copy, { share: 0.001 });
  expect(verdict).toBe('failed');
  expect(findings.map(({ object }) => object).sort()).toEqual(gone);
  expect(findings.every(({ kind, affects }) => kind === 'missing' && affects.backups[0] === stage.first.id)).toBe(true);
});

test('a missing segment between two backups cuts the first one short until the end of the second', async () => {
  const copy = await copyOf(stage);
  const segment = segmentBetween();
  copy.remove(copy.walKeyOf(segment));
  const { findings } = await look(copy);
  const from = { lsn: segmentStart(segment, segmentBytes), at: null };
  expect(findings).toMatchObject([
    {
      object: expect.stringMatching(new RegExp(`/wal/00000001/.*/${segment}$`)),
      kind: 'missing',
      objects: 1,
      affects: { backups: [], cutShort: [stage.first.id], from, to: endOf(stage.second) },
    },
  ]);
});

test('missing segments that follow each other are one finding, from the first to the last', async () => {
  const copy = await copyOf(stage);
  const all = copy.segments();
  const at = all.indexOf(segmentBetween());
  const gone = all.slice(at, at + 2) as [string, string];
  for (const segment of gone) copy.remove(copy.walKeyOf(segment));
  const { findings } = await look(copy);
  expect(findings).toMatchObject([
    {
      kind: 'missing',
      objects: 2,
      object: expect.stringContaining(gone[0]),
      through: expect.stringContaining(gone[1]),
    },
  ]);
});

/** A repository that is only copied to, beside the one that WAL is written to, in which all WAL up to a position is said to be cut. */
async function copiedTo() {
  const [offsite, source] = [await offsiteOf(stage), await copyOf(stage)];
  const repositories = [offsite.cluster.repository, source.cluster.repository];
  const expire = (to: Lsn) => {
    const cut = { formatVersion: 1, id: '20261120T150000Z-expire-00000001', cutAt: '2026-11-20T15:00:00.000Z' };
    const ranges = [{ timeline: 1, from: '0/0', to }];
    source.write(cutKey('shop', stage.second.era, cut.id), JSON.stringify({ ...cut, reason: 'expired', ranges }));
  };
  return { offsite: { ...offsite, cluster: { ...offsite.cluster, repositories } }, source, expire };
}

test('a segment that expired in the source before it was copied is a note; what was lost is damage as before', async () => {
  const { offsite, source, expire } = await copiedTo();
  const missing = { verdict: 'failed', findings: [{ kind: 'missing' }], notes: [] };
  const segment = segmentBetween();
  offsite.remove(offsite.walKeyOf(segment));
  expire(segmentEnd(segment, segmentBytes));
  expect(await look(offsite)).toMatchObject(missing); // a copy is still there
  source.remove(source.walKeyOf(segment));
  const found = await look(offsite);
  expect(found).toMatchObject({ verdict: 'passed', findings: [] });
  expect(found.notes).toEqual([
    `WAL segment ${segment} expired in local, and offsite has no copy of it: points in that stretch cannot be restored from offsite.`,
  ]);
  const required = { ...offsite.cluster.config, repositories: ['local', 'offsite'], write: 'all' as const };
  expect(await look({ cluster: { ...offsite.cluster, config: required } })).toMatchObject(missing);
  expire(segmentStart(segment, segmentBytes));
  expect(await look(offsite)).toMatchObject(missing);
});

test('what a backup here needs was here, whatever expired elsewhere', async () => {
  const { offsite, source, expire } = await copiedTo();
  const segment = segmentNameAt(stage.second.startLsn as Lsn, 1, segmentBytes);
  expire(segmentEnd(segment, segmentBytes));
  for (const one of [offsite, source]) one.remove(one.walKeyOf(segment));
  expect(await look(offsite)).toMatchObject({ verdict: 'failed', findings: [{ kind: 'missing' }], notes: [] });
});

test('a missing segment between start and stop of a backup makes that backup unrestorable', async () => {
  const copy = await copyOf(stage);
  const segment = segmentNameAt(stage.first.startLsn as Lsn, 1, segmentBytes);
  copy.remove(copy.walKeyOf(segment));
  const { findings } = await look(copy);
  expect(findings).toMatchObject([
    {
      kind: 'missing',
      affects: { backups: [stage.first.id], cutShort: [], from: endOf(stage.first), to: endOf(stage.second) },
    },
  ]);
});

test('damage behind the last backup loses everything from there on, until there is another backup', async () => {
  const copy = await copyOf(stage);
  const segment = copy.segments().at(-2) as SegmentName;
  const object = copy.walKeyOf(segment);
  copy.flip(object);
  const { findings } = await look(copy);
  const from = { lsn: segmentStart(segment, segmentBytes), at: null };
  const cutShort = [stage.first.id, stage.second.id];
  expect(findings).toMatchObject([{ object, kind: 'damaged', affects: { backups: [], cutShort, from, to: null } }]);
});

test('scenario 12: an empty segment, and one that does not even begin as ours do, are damaged', async () => {
  const copy = await copyOf(stage);
  const objects = copy
    .segments()
    .slice(-3)
    .map((segment) => copy.walKeyOf(segment)) as [string, string, string];
  copy.truncate(objects[0], 0);
  copy.write(objects[1], 'once upon a time');
  copy.write(objects[2], zstdCompressSync(Buffer.alloc(segmentBytes)));
  const { findings } = await look(copy);
  expect(findings.map(({ object, kind }) => [object, kind])).toEqual(objects.map((object) => [object, 'damaged']));
});

test('two segments that were swapped are both damaged: a tag belongs to its name', async () => {
  const copy = await copyOf(stage);
  const [a, b] = copy
    .segments()
    .slice(-2)
    .map((segment) => copy.walKeyOf(segment)) as [string, string];
  copy.swap(a, b);
  const { findings } = await look(copy);
  expect(findings.map(({ object, kind }) => [object, kind]).sort()).toEqual([
    [a, 'damaged'],
    [b, 'damaged'],
  ]);
});

test('a segment with two contents is a conflict, and ends what can be restored', async () => {
  const copy = await copyOf(stage);
  const segment = segmentBetween();
  const { repository, walKeys, name } = copy.cluster;
  await putSegment(repository, walKeys, name, stage.first.era, segment, randomBytes(segmentBytes));
  const { findings, verdict } = await look(copy);
  expect(verdict).toBe('failed');
  const affects = { cutShort: [stage.first.id], to: endOf(stage.second) };
  expect(findings).toMatchObject([{ kind: 'conflict', why: expect.stringContaining('quarantine'), affects }]);
});

test('scenario 12: a deleted commit file is missed, because a report tells of its backup', async () => {
  const copy = await copyOf(stage);
  const object = backupKey('shop', stage.first.era, stage.first.id);
  copy.remove(object);
  const { findings } = await look(copy);
  const affects = { backups: [stage.first.id], cutShort: [], from: endOf(stage.first), to: endOf(stage.second) };
  expect(findings).toMatchObject([{ object, kind: 'missing', affects, why: expect.stringContaining('a report says') }]);
});

test('a commit file that was changed is named', async () => {
  const copy = await copyOf(stage);
  const object = backupKey('shop', stage.first.era, stage.first.id);
  copy.flip(object);
  const { findings } = await look(copy);
  expect(findings).toMatchObject([{ object, kind: 'damaged', affects: { backups: [stage.first.id] } }]);
});

test('parts without a commit file are noted while they may be under way, and are no damage', async () => {
  const copy = await copyOf(stage);
  const id = `${stage.second.id.slice(0, 16)}-full-00000000`;
  copy.write(`shop/${stage.first.era}/base/${id}/pgdata.1.tar.zst.enc`, 'half');
  const { verdict, findings, notes } = await look(copy);
  expect({ verdict, findings }).toEqual({ verdict: 'passed', findings: [] });
  expect(notes).toEqual([expect.stringContaining(`${id} has parts and no commit file`)]);
});

test('parts that later backups should have removed are told of: their commit file may be what is missing', async () => {
  const copy = await copyOf(stage);
  copy.write(`shop/${stage.first.era}/base/20200101T000000Z-full-00000000/pgdata.1.tar.zst.enc`, 'half');
  const { findings } = await look(copy);
  expect(findings).toMatchObject([{ kind: 'foreign', object: expect.stringContaining('20200101T000000Z') }]);
});

test('objects that the layout does not know are named, and do not make it fail', async () => {
  const copy = await copyOf(stage);
  const foreign = [
    'dump.sql',
    'keys/stray.txt',
    `shop/${stage.first.era}/base/${stage.first.id}/pgdata.9.tar.zst.enc`,
    'shop/notes.txt',
  ];
  for (const key of foreign) copy.write(key, 'what is this');
  const { verdict, findings } = await look(copy);
  expect(verdict).toBe('passed');
  expect(findings.map(({ object, kind }) => [object, kind]).sort()).toEqual(foreign.map((key) => [key, 'foreign']));
});

test('an era whose document is gone or changed is named with all its backups', async () => {
  const object = eraKey('shop', stage.first.era);
  for (const harm of ['remove', 'flip'] as const) {
    const copy = await copyOf(stage);
    copy[harm](object);
    const { findings } = await look(copy);
    expect(findings).toMatchObject([
      {
        object,
        kind: harm === 'remove' ? 'missing' : 'damaged',
        affects: { backups: [stage.first.id, stage.second.id] },
      },
    ]);
  }
});

test('a marker that is gone is named', async () => {
  const copy = await copyOf(stage);
  copy.remove('pgproof-repository.json');
  expect((await look(copy)).findings).toMatchObject([{ object: 'pgproof-repository.json', kind: 'missing' }]);
});

/** The copy with a store that once leaves objects out of a listing: they were written just then. */
function listedLate(copy: Copy, key: RegExp): Copy {
  const { repository } = copy.cluster;
  const store = faulty(repository.store, [{ on: 'list', key, fault: { kind: 'forget' }, times: 1 }]);
  const late = { ...repository, store };
  return { ...copy, cluster: { ...copy.cluster, repository: late, repositories: [late], written: [late] } };
}

test('a backup that is committed while names are listed is not taken for one whose commit file was deleted', async () => {
  const copy = await copyOf(stage);
  const found = await look(listedLate(copy, new RegExp(`/backups/${stage.second.id}`)));
  expect(found).toMatchObject({ verdict: 'passed', findings: [] });
  expect(found.notes).toEqual([expect.stringContaining('was committed while this run listed')]);
});

test('a segment that is shipped while names are listed is no gap', async () => {
  const copy = await copyOf(stage);
  expect(await look(listedLate(copy, new RegExp(segmentBetween())))).toMatchObject({ verdict: 'passed', findings: [] });
});

test('a backup that is deleted while it is read is no damage', async () => {
  const copy = await copyOf(stage);
  const { era, id } = stage.first;
  for (const key of copy.keys(new RegExp(`/base/${id}/`))) copy.remove(key);
  copy.write(backupKey('shop', era, id).replace('.json', '.0a0b0c0d.deleted.json'), '{}');
  const found = await look(listedLate(copy, /deleted/));
  expect(found).toMatchObject({ verdict: 'passed', findings: [] });
  expect(found.notes).toContainEqual(expect.stringContaining('was deleted while this run looked at it'));
});
