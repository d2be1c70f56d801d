import { describe, expect, test } from 'vitest';
import { type Lsn, parseLsn } from '../../core/lsn.ts';
import type { SegmentName } from '../../core/segment.ts';
import type { TimelinePath } from '../../core/timeline.ts';
import { coverageOf, segmentsUpTo } from '../../wal/inventory.ts';

const mib16 = 16 * 1024 * 1024;
const first: TimelinePath = [{ timeline: 1, beginLsn: lsn('0/0'), endLsn: null }];
/** Timeline 2 began inside of segment 5. */
const second: TimelinePath = [
  { timeline: 1, beginLsn: lsn('0/0'), endLsn: lsn('0/5800000') },
  { timeline: 2, beginLsn: lsn('0/5800000'), endLsn: null },
];

describe('the WAL without a gap', () => {
  test('goes on over the end of a log, FF to 00', () => {
    const archived = listing('0000000100000000000000FE', '0000000100000000000000FF', '000000010000000100000000');
    const { segments, endLsn, stop } = coverageOf(first, archived, lsn('0/FE000028'), mib16);
    expect(segments.map(({ name }) => name)).toEqual([...archived.keys()]);
    expect(endLsn).toBe('1/1000000');
    expect(stop).toEqual({ reason: 'end', segment: '000000010000000100000001' });
  });

  test('ends in front of a segment that is missing while later ones are there', () => {
    const archived = listing('000000010000000000000003', '000000010000000000000005');
    expect(coverageOf(first, archived, lsn('0/3000028'), mib16)).toMatchObject({
      endLsn: '0/4000000',
      stop: { reason: 'gap', segment: '000000010000000000000004' },
    });
  });

  test('ends in front of a segment that exists twice', () => {
    const archived = listing('000000010000000000000003', '000000010000000000000004');
    archived.set('000000010000000000000004' as SegmentName, ['one', 'two']);
    expect(coverageOf(first, archived, lsn('0/3000028'), mib16)).toMatchObject({
      endLsn: '0/4000000',
      stop: { reason: 'conflict', segment: '000000010000000000000004' },
    });
  });

  test('is none when the first segment is missing', () => {
    expect(coverageOf(first, listing(), lsn('0/3000028'), mib16)).toMatchObject({
      segments: [],
      stop: { reason: 'end' },
    });
    const later = listing('000000010000000000000004');
    expect(coverageOf(first, later, lsn('0/3000028'), mib16)).toMatchObject({ segments: [], stop: { reason: 'gap' } });
  });

  test('takes the segment in which a timeline begins from that timeline, and its own WAL from then on', () => {
    const archived = listing(
      '000000010000000000000004',
      '000000010000000000000005',
      '000000020000000000000005',
      '000000020000000000000006',
    );
    const { segments } = coverageOf(second, archived, lsn('0/4000028'), mib16);
    expect(segments.map(({ name }) => name)).toEqual([
      '000000010000000000000004',
      '000000020000000000000005',
      '000000020000000000000006',
    ]);
  });

  test('ends at the switch when only the old timeline has the segment in which the new one begins', () => {
    const archived = listing('000000010000000000000004', '000000010000000000000005', '000000020000000000000006');
    expect(coverageOf(second, archived, lsn('0/4000028'), mib16)).toMatchObject({
      segments: [{ name: '000000010000000000000004' }, { name: '000000010000000000000005' }],
      endLsn: '0/5800000',
      stop: { reason: 'gap', segment: '000000020000000000000005' },
    });
  });

  test('knows nothing of what the old timeline wrote after the switch', () => {
    const archived = listing('000000010000000000000004', '000000020000000000000005', '000000010000000000000006');
    expect(coverageOf(second, archived, lsn('0/4000028'), mib16)).toMatchObject({
      endLsn: '0/6000000',
      stop: { reason: 'end' },
    });
  });
});

test('what a recovery is served goes some way beyond its target, for the last record may be long', () => {
  const names = Array.from(
    { length: 12 },
    (_, index) => `0000000100000000000000${(index + 3).toString(16).toUpperCase().padStart(2, '0')}`,
  );
  const coverage = coverageOf(first, listing(...names), lsn('0/3000028'), mib16);
  const served = segmentsUpTo(coverage, lsn('0/4000000'), mib16, 2 * mib16);
  expect(served.map(({ name }) => name.slice(-2))).toEqual(['03', '04', '05', '06']);
});

function lsn(text: string): Lsn {
  return parseLsn(text);
}

function listing(...names: string[]): Map<SegmentName, string[]> {
  return new Map(names.map((name) => [name as SegmentName, [`tag-${name}`]]));
}
