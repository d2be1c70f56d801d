import { expect, test } from 'vitest';
import type { Lsn } from '../../core/lsn.ts';
import { type SegmentName, segmentName } from '../../core/segment.ts';
import { pathTo } from '../../core/timeline.ts';
import type { WalListing } from '../../repository/wal.ts';
import { archiveFrontier } from '../../wal/frontier.ts';
import { mib, seg } from './support.ts';

const size16 = 16 * mib;
const first = pathTo(1, new Map());
const listing = (...names: SegmentName[]): WalListing => new Map(names.map((name) => [name, ['tag']]));
const lsn = (text: string) => text as Lsn;

test('the frontier is where contiguous segments end', () => {
  const found = archiveFrontier(first, listing(seg(2), seg(3), seg(4)), lsn('0/2000028'), size16);
  expect(found).toMatchObject({ timeline: 1, lsn: '0/5000000', missing: [] });
});

test('scenario 19: the frontier does not pass a segment that is missing, though later ones are there', () => {
  const found = archiveFrontier(first, listing(seg(2), seg(3), seg(6), seg(8)), lsn('0/2000028'), size16);
  expect(found).toMatchObject({ lsn: '0/4000000', missing: [seg(4), seg(5)] });
});

test('scenario 19: a gap at the end of a log file is one, and none is taken for one', () => {
  const name = (number: bigint) => segmentName(1, number, size16);
  expect(name(0xffn)).toBe('0000000100000000000000FF');
  const whole = listing(name(0xfen), name(0xffn), name(0x100n), name(0x101n));
  expect(archiveFrontier(first, whole, lsn('0/FE000000'), size16)).toMatchObject({ lsn: '1/2000000', missing: [] });
  whole.delete(name(0x100n));
  expect(archiveFrontier(first, whole, lsn('0/FE000000'), size16)).toMatchObject({
    lsn: '1/0',
    missing: ['000000010000000100000000'],
  });
  whole.delete(name(0xffn));
  expect(archiveFrontier(first, whole, lsn('0/FE000000'), size16).lsn).toBe('0/FF000000');
});

test('scenario 19: with 64 MB segments a log file has 64 of them', () => {
  const size = 64 * mib;
  const name = (number: bigint) => segmentName(1, number, size);
  expect(name(0x40n)).toBe('000000010000000100000000');
  const found = archiveFrontier(first, listing(name(0x3fn), name(0x40n), name(0x42n)), lsn('0/FC000000'), size);
  expect(found).toMatchObject({ lsn: '1/4000000', missing: ['000000010000000100000001'] });
});

test('a segment with two contents counts as missing', () => {
  const found = archiveFrontier(
    first,
    new Map([
      [seg(2), ['a']],
      [seg(3), ['a', 'b']],
      [seg(4), ['a']],
    ]),
    lsn('0/2000000'),
    size16,
  );
  expect(found).toMatchObject({ lsn: '0/3000000', missing: [seg(3)] });
});

const switched = pathTo(2, new Map([[2, [{ timeline: 1, switchLsn: lsn('0/4000100'), reason: '' }]]]));

test('the frontier follows the path into the new timeline, whose first segment has the old one in it', () => {
  const found = archiveFrontier(switched, listing(seg(2), seg(3), seg(4, 2), seg(5, 2)), lsn('0/2000000'), size16);
  expect(found).toMatchObject({ timeline: 2, lsn: '0/6000000', missing: [] });
});

test('where only the old timeline has the segment of the switch, the frontier ends at the switch', () => {
  const found = archiveFrontier(switched, listing(seg(2), seg(3), seg(4), seg(5), seg(5, 2)), lsn('0/2000000'), size16);
  expect(found).toMatchObject({ lsn: '0/4000100', missing: [seg(4, 2)] });
});

test('WAL that an old primary wrote behind the switch moves nothing', () => {
  const found = archiveFrontier(
    switched,
    listing(seg(2), seg(3), seg(4), seg(5), seg(6), seg(7)),
    lsn('0/2000000'),
    size16,
  );
  expect(found.lsn).toBe('0/4000100');
});
