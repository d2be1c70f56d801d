import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { SegmentName } from '../../core/segment.ts';
import { refuseOther } from '../../import/physical/archive.ts';
import { parseLabel, parseLabelEnd } from '../../import/physical/label.ts';
import { findBases, findWal } from '../../import/physical/layout.ts';
import { majorOfWal } from '../../postgres/wal-major.ts';
import { tempDir } from '../support/temp.ts';

const label = (time: string): string => `START WAL LOCATION: 0/2000028 (file 000000010000000000000002)
CHECKPOINT LOCATION: 0/2000060
BACKUP METHOD: streamed
BACKUP FROM: primary
START TIME: ${time}
LABEL: pg_basebackup base backup
START TIMELINE: 1
`;

describe('backup_label', () => {
  test('says where the base begins, and when, where its zone is one', () => {
    const read = parseLabel(label('2026-01-14 12:00:00 UTC'));
    expect(read).toMatchObject({ startLsn: '0/2000028', timeline: 1, startedAt: '2026-01-14T12:00:00.000Z' });
    expect(parseLabel(label('2026-01-14 20:00:00 +08')).startedAt).toBe('2026-01-14T12:00:00.000Z');
  });

  test.each(['CST', 'IST', 'BST'])('a time in %s is no time: those letters are several zones', (zone) => {
    expect(parseLabel(label(`2026-01-14 12:00:00 ${zone}`)).startedAt).toBeNull();
  });

  test('in the archive it says where the base ends', () => {
    const text = `${label('2026-01-14 12:00:00 UTC')}STOP WAL LOCATION: 0/2000138 (file 000000010000000000000002)
STOP TIME: 2026-01-14 12:00:05 UTC
`;
    expect(parseLabelEnd(text)).toMatchObject({ stopLsn: '0/2000138', stoppedAt: '2026-01-14T12:00:05.000Z' });
  });

  test('that is cut off is refused', () => {
    expect(() => parseLabel('START WAL')).toThrow('is not readable');
  });
});

describe('a segment of the old archive', () => {
  const known = { systemId: '7400000000000000001', segmentBytes: 1 << 20 };
  const name = '000000010000000000000002' as SegmentName;
  const segment = (address: bigint, systemId = known.systemId, bytes = known.segmentBytes): Buffer => {
    const page = Buffer.alloc(bytes);
    page.writeUInt16LE(0xd110, 0);
    page.writeUInt16LE(2, 2);
    page.writeUInt32LE(1, 4);
    page.writeBigUInt64LE(address, 8);
    page.writeBigUInt64LE(BigInt(systemId), 24);
    page.writeUInt32LE(1 << 20, 32);
    page.writeUInt32LE(8192, 36);
    return page;
  };

  test('is taken for what it says of itself', () => {
    expect(() => refuseOther(name, 'wal/x', segment(0x200000n), known)).not.toThrow();
    expect(majorOfWal(segment(0x200000n))).toBe(15);
  });

  test('under another one’s name is refused', () => {
    expect(() => refuseOther(name, 'wal/x', segment(0x300000n), known)).toThrow('not what its name says');
  });

  test('of another system is refused', () => {
    expect(() => refuseOther(name, 'wal/x', segment(0x200000n, '7400000000000000002'), known)).toThrow('of system');
  });

  test('that is cut off is refused', () => {
    expect(() => refuseOther(name, 'wal/x', segment(0x200000n).subarray(0, 65_536), known)).toThrow('65536 bytes');
  });
});

describe('the folder of an old script', () => {
  test('is found by names: bases, WAL in all forms, and what is neither', async () => {
    const dir = tempDir();
    for (const folder of ['base/base_20260114_120000', 'base/tmp', 'wal'])
      mkdirSync(join(dir, folder), { recursive: true });
    const put = (name: string) => writeFileSync(join(dir, name), '');
    for (const name of ['base.tar.gz.enc', 'pg_wal.tar.gz', '16385.tar', 'backup_info', 'backup_manifest.gz'])
      put(`base/base_20260114_120000/${name}`);
    const segment = '000000010000000000000002';
    for (const name of [
      segment,
      `${segment}.gz`,
      '000000010000000000000003.gz.enc',
      '00000002.history',
      `${segment}.00000028.backup`,
      'notes.txt',
    ])
      put(`wal/${name}`);
    const [base, ...others] = await findBases(dir);
    expect(others).toEqual([]);
    expect([...(base?.archives.keys() ?? [])].sort()).toEqual(['16385', 'base', 'pg_wal']);
    expect(base?.manifest).toContain('backup_manifest.gz');
    const wal = await findWal(dir);
    expect([...wal.segments].map(([name, paths]) => [name, paths.length])).toEqual([
      [segment, 2],
      ['000000010000000000000003', 1],
    ]);
    expect([...wal.histories.keys()]).toEqual([2]);
    expect(wal.others).toEqual(['notes.txt']);
    expect(await findBases(join(dir, 'base'))).toHaveLength(1);
  });
});
