import { expect, test } from 'vitest';
import type { Lsn } from '../../core/lsn.ts';
import { type SegmentName, segmentName } from '../../core/segment.ts';
import { parseHistory } from '../../core/timeline.ts';
import { affectedBy, type EraFacts } from '../../verify/affects.ts';
import { gapsOn, leafPaths, type SegmentFault } from '../../verify/path.ts';
import { isInShare, nextRotation } from '../../verify/share.ts';

const size = 16 << 20;
const segment = (timeline: number, number: number): SegmentName => segmentName(timeline, BigInt(number), size);
const lsn = (number: number, offset = 0): Lsn => `0/${(number * size + offset).toString(16).toUpperCase()}` as Lsn;

/** Timeline 2 begins in the middle of segment 5. */
const histories = new Map([
  [2, parseHistory('00000002.history', `1\t${lsn(5, 0x800)}\tno recovery target specified\n`)],
]);
const [switched] = leafPaths(histories, [1, 2]);

function gaps(names: readonly SegmentName[], faults: Record<string, SegmentFault> = {}, path = switched) {
  const there = new Set(names);
  const faultOf = (name: SegmentName) => faults[name] ?? (there.has(name) ? null : 'missing');
  return gapsOn(path as NonNullable<typeof path>, names, faultOf, lsn(2), size);
}

const range = (timeline: number, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => segment(timeline, from + index));

test('WAL that goes on from timeline to timeline has no gap', () => {
  expect(gaps([...range(1, 2, 5), ...range(2, 5, 9)])).toEqual([]);
});

test('the old timeline needs no copy of the segment that the new one took over', () => {
  expect(gaps([...range(1, 2, 4), ...range(2, 5, 9)])).toEqual([]);
});

test('the new timeline’s first segment is missed once a later one is there, and loses only what is behind the switch', () => {
  expect(gaps(range(1, 2, 5))).toEqual([]);
  expect(gaps([...range(1, 2, 5), ...range(2, 6, 9)])).toMatchObject([
    { start: lsn(5, 0x800), end: lsn(6), segments: [{ name: segment(2, 5), fault: 'missing' }] },
  ]);
});

test('WAL that the old primary wrote behind the switch is no part of the path', () => {
  expect(gaps([...range(1, 2, 9), ...range(2, 5, 6)])).toEqual([]);
});

test('segments that follow each other are one gap, whatever is wrong with each', () => {
  const names = [...range(1, 2, 5), ...range(2, 5, 6), ...range(2, 8, 9)];
  expect(gaps(names, { [segment(2, 6)]: 'damaged', [segment(2, 8)]: 'conflict' })).toMatchObject([
    { start: lsn(6), end: lsn(9), segments: [{ fault: 'damaged' }, { fault: 'missing' }, { fault: 'conflict' }] },
  ]);
});

test('a timeline that nobody followed is a path of its own', () => {
  const forked = new Map([...histories, [3, parseHistory('00000003.history', `1\t${lsn(4)}\tfork\n`)]] as const);
  const paths = leafPaths(forked, [1, 2, 3]);
  expect(paths.map((path) => path.map(({ timeline }) => timeline))).toEqual([
    [1, 3],
    [1, 2],
  ]);
});

test('a backup whose stop lies on a boundary does not need the segment that begins there', () => {
  const backup = { id: 'a', parent: null, timeline: 1, startLsn: lsn(2, 40), stopLsn: lsn(3), stoppedAt: 'then' };
  const path = [{ timeline: 1, beginLsn: '0/0' as Lsn, endLsn: null }];
  const found = gapsOn(
    path,
    [...range(1, 2, 2), ...range(1, 4, 4)],
    (name) => (name === segment(1, 3) ? 'missing' : null),
    lsn(2),
    size,
  );
  const facts: EraFacts = {
    era: 'e',
    segmentBytes: size,
    backups: [backup],
    paths: [{ path, gaps: found }],
    firstOf: new Map(),
  };
  const damage = {
    object: 'x',
    kind: 'missing',
    why: '',
    subject: { of: 'wal', era: 'e', segment: segment(1, 3) },
    repair: null,
  } as const;
  expect(affectedBy(facts, [damage]).get('x')).toEqual({
    backups: [],
    cutShort: ['a'],
    ...{ dumps: [], globals: [] },
    from: { lsn: lsn(3), at: null },
    to: null,
  });
});

test('damage of a backup takes those that were made on top of it along', () => {
  const made = (id: string, parent: string | null, at: number) => ({
    id,
    parent,
    timeline: 1,
    startLsn: lsn(at),
    stopLsn: lsn(at, 100),
    stoppedAt: id,
  });
  const backups = [made('a', null, 2), made('b', 'a', 4), made('c', 'b', 6), made('d', null, 8)];
  const path = [{ timeline: 1, beginLsn: '0/0' as Lsn, endLsn: null }];
  const facts: EraFacts = { era: 'e', segmentBytes: size, backups, paths: [{ path, gaps: [] }], firstOf: new Map() };
  const damage = {
    object: 'x',
    kind: 'damaged',
    why: '',
    subject: { of: 'backup', era: 'e', id: 'a' },
    repair: null,
  } as const;
  expect(affectedBy(facts, [damage]).get('x')).toEqual({
    backups: ['a', 'b', 'c'],
    cutShort: [],
    ...{ dumps: [], globals: [] },
    from: { lsn: lsn(2, 100), at: 'a' },
    to: { lsn: lsn(8, 100), at: 'd' },
  });
});

test('100,000 segments with a gap are looked through in a moment', () => {
  const names = range(1, 2, 100_002);
  const found = gaps(
    names.filter((_, index) => index !== 50_000),
    {},
    [{ timeline: 1, beginLsn: '0/0' as Lsn, endLsn: null }],
  );
  expect(found).toMatchObject([{ segments: [{ name: names[50_000] }] }]);
});

test('every object is in exactly one slot, and the slots are about as large', () => {
  const keys = Array.from({ length: 2000 }, (_, index) => `shop/wal/${index}`);
  const slots = Array.from({ length: 10 }, (_, slot) => keys.filter((key) => isInShare(key, { slots: 10, slot })));
  expect(slots.flat().sort()).toEqual(keys.toSorted());
  expect(slots.every((slot) => slot.length > 120 && slot.length < 300)).toBe(true);
});

test('the slot moves on when a run read its share, and not when it was cut short', () => {
  const after = (complete: boolean, slot: number) => nextRotation(10, [{ rotation: { slots: 10, slot }, complete }]);
  expect(nextRotation(10, [])).toEqual({ slots: 10, slot: 0 });
  expect(after(true, 3)).toEqual({ slots: 10, slot: 4 });
  expect(after(true, 9)).toEqual({ slots: 10, slot: 0 });
  expect(after(false, 3)).toEqual({ slots: 10, slot: 3 });
});

test('a full run, or one with another share, does not disturb the rotation', () => {
  const earlier = [null, { slots: 4, slot: 1 }, { slots: 10, slot: 6 }].map((rotation) => ({
    rotation,
    complete: true,
  }));
  expect(nextRotation(10, earlier)).toEqual({ slots: 10, slot: 7 });
  expect(nextRotation(100, earlier)).toBeNull();
});

test('no run reads a larger share than it was asked for', () => {
  expect(nextRotation(15, [])).toMatchObject({ slots: 7 });
  expect(nextRotation(60, [])).toMatchObject({ slots: 2 });
});
