import { describe, expect, test } from 'vitest';
import { formatLsn, type Lsn, lsnPosition, parseLsn } from '../../core/lsn.ts';
import {
  parseSegmentName,
  type SegmentName,
  segmentEnd,
  segmentNameAt,
  segmentStart,
  segmentsBetween,
  walFileKind,
} from '../../core/segment.ts';
import { parseHistory, pathTo, segmentsOnPath, timelineAt } from '../../core/timeline.ts';

const mib = 1024 * 1024;
const lsn = (text: string): Lsn => parseLsn(text);
const segment = (text: string): SegmentName => parseSegmentName(text);

describe('LSN', () => {
  test('is read as PostgreSQL and pg_waldump print it, and written without leading zeros', () => {
    expect(parseLsn('16/B374D848')).toBe('16/B374D848');
    expect(parseLsn('0/0b0000d8')).toBe('0/B0000D8');
    expect(formatLsn(lsnPosition(lsn('FFFFFFFF/FFFFFFFF')))).toBe('FFFFFFFF/FFFFFFFF');
  });

  test.each(['', '16', '16/', '/1', '1/2/3', 'x/1', '0x1/2', '123456789/0', '-1/0'])('refuses %j', (text) => {
    expect(() => parseLsn(text)).toThrow(`'${text}' is not an LSN`);
  });
});

describe('segment names', () => {
  const following = (name: string, bytes: number) => segmentNameAt(segmentEnd(segment(name), bytes), 1, bytes);

  test('go from …FF to the next log in 16 MiB, from …3F in 64 MiB, from …FFF in 1 MiB', () => {
    expect(following('0000000100000000000000FF', 16 * mib)).toBe('000000010000000100000000');
    expect(following('00000001000000000000003F', 64 * mib)).toBe('000000010000000100000000');
    expect(following('000000010000000000000FFF', mib)).toBe('000000010000000100000000');
    expect(following('000000010000000100000003', 1024 * mib)).toBe('000000010000000200000000');
  });

  test('put a position on a boundary into the segment that begins there', () => {
    expect(segmentNameAt(lsn('0/4000000'), 1, 64 * mib)).toBe('000000010000000000000001');
    expect(segmentNameAt(lsn('0/FFFFFFFF'), 1, 64 * mib)).toBe('00000001000000000000003F');
    expect(segmentNameAt(lsn('1/4000001'), 1, 64 * mib)).toBe('000000010000000100000001');
  });

  test('say where a segment begins and ends', () => {
    expect(segmentStart(segment('0000000A00000001000000FF'), 16 * mib)).toBe('1/FF000000');
    expect(segmentEnd(segment('0000000A00000001000000FF'), 16 * mib)).toBe('2/0');
  });

  test('cover a range without the segment that begins where it ends', () => {
    expect(segmentsBetween(lsn('0/FE000028'), lsn('1/1000000'), 1, 16 * mib)).toEqual([
      '0000000100000000000000FE',
      '0000000100000000000000FF',
      '000000010000000100000000',
    ]);
    expect(segmentsBetween(lsn('0/3000000'), lsn('0/3000000'), 1, 16 * mib)).toEqual([]);
  });

  test('are told apart from the other files that archive_command is given', () => {
    const kinds = Object.fromEntries(
      [
        '000000010000000000000003',
        '000000010000000000000003.partial',
        '00000002.history',
        '000000010000000000000003.00000028.backup',
        '000000010000000000000003.gz',
        '00000001000000000000000a',
        '../000000010000000000000003',
      ].map((name) => [name, walFileKind(name)]),
    );
    expect(Object.values(kinds)).toEqual([
      'segment',
      'partial',
      'history',
      'backupLabel',
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('timeline paths', () => {
  const histories = new Map([
    [2, parseHistory('00000002.history', '1\t0/5000138\tno recovery target specified\n')],
    [3, parseHistory('00000003.history', '1\t0/5000138\tfirst\n\n# a remark\n2\t0/7A00000\tsecond\n')],
  ]);

  test('follow the history file; a switch point belongs to the new timeline', () => {
    const path = pathTo(3, histories);
    expect(path.map(({ timeline, endLsn }) => [timeline, endLsn])).toEqual([
      [1, '0/5000138'],
      [2, '0/7A00000'],
      [3, null],
    ]);
    expect(timelineAt(path, lsn('0/5000137'))).toBe(1);
    expect(timelineAt(path, lsn('0/5000138'))).toBe(2);
    expect(timelineAt(path, lsn('9/0'))).toBe(3);
  });

  test('name for each segment its candidates, the newest timeline that had begun in it first', () => {
    const path = pathTo(3, histories);
    expect(segmentsOnPath(path, lsn('0/4000000'), lsn('0/8000000'), 16 * mib)).toEqual([
      ['000000010000000000000004'],
      ['000000020000000000000005', '000000010000000000000005'],
      ['000000020000000000000006'],
      ['000000030000000000000007', '000000020000000000000007'],
    ]);
  });

  test('do not exist for a timeline without a history file, except for the first', () => {
    expect(pathTo(1, histories)).toHaveLength(1);
    expect(() => pathTo(4, histories)).toThrow('timeline 4 has no history file');
  });

  test.each([
    ['a line that is none', '1 somewhere\n'],
    ['timelines that do not ascend', '2\t0/1\tx\n1\t0/2\ty\n'],
    ['a timeline of the future', '3\t0/1\tx\n'],
  ])('refuse a history file with %s', (_, text) => {
    expect(() => parseHistory('00000003.history', text)).toThrow("the history file '00000003.history' is not readable");
  });
});
