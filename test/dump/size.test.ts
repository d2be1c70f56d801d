import { expect, test } from 'vitest';
import { isAlike, suddenlySmall } from '../../dump/size.ts';
import type { DumpRecord } from '../../repository/record.ts';

const none = { tables: [], excludeTables: [], excludeTableData: [], schemas: [], excludeSchemas: [] };
const dumpOf = (plainBytes: number, more: object = {}): DumpRecord =>
  ({
    id: `of-${plainBytes}`,
    kind: 'database',
    database: 'crm',
    tier: 'daily',
    format: 'custom',
    content: 'all',
    compression: 'zstd:3',
    selection: none,
    owner: true,
    privileges: true,
    importedFrom: null,
    dump: { parts: [], plainBytes, sha256: '' },
    ...more,
  }) as unknown as DumpRecord;

test('a dump that is less than half as large as the last one of its kind is a finding', () => {
  expect(suddenlySmall(dumpOf(499), dumpOf(1000))).toBe(
    'less than half as large as the last one: 499 B, and the last one was 1.0 kB (of-1000)',
  );
});

test('half, more, or the first of all is none', () => {
  expect(suddenlySmall(dumpOf(500), dumpOf(1000))).toBeNull();
  expect(suddenlySmall(dumpOf(5000), dumpOf(1000))).toBeNull();
  expect(suddenlySmall(dumpOf(1), null)).toBeNull();
});

test('only what was dumped in the same way is compared', () => {
  for (const other of [
    { database: 'web' },
    { tier: 'weekly' },
    { format: 'plain' },
    { content: 'schema' },
    { compression: 'none' },
    { selection: { ...none, tables: ['a'] } },
    { importedFrom: 'crm.sql' },
  ])
    expect(isAlike(dumpOf(1), dumpOf(1000, other))).toBe(false);
  expect(isAlike(dumpOf(1), dumpOf(1000))).toBe(true);
});
