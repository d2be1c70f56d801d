import { expect, test } from 'vitest';
import { fileNames, safeName, tierName } from '../../../dump/export/names.ts';

const dump = {
  cluster: 'shop',
  kind: 'database',
  database: 'crm',
  tier: 'weekly',
  format: 'custom',
  host: 'db-7',
  startedAt: '2026-11-21T14:05:01.250Z',
} as const;

test('a file is called by its database, the time in UTC and the host, with what its format is called', () => {
  expect(fileNames(dump)).toEqual({
    dump: 'crm_20261121T140501Z_db-7.dump',
    checksum: 'crm_20261121T140501Z_db-7.dump.sha256',
    globals: 'crm_20261121T140501Z_db-7_globals.sql',
  });
  const called = (changes: object) => fileNames({ ...dump, ...changes }).dump;
  expect(called({ format: 'plain' })).toBe('crm_20261121T140501Z_db-7.sql');
  expect(called({ format: 'tar' })).toBe('crm_20261121T140501Z_db-7.tar');
  expect(called({ format: 'directory' })).toBe('crm_20261121T140501Z_db-7');
  expect(called({ kind: 'globals', database: null, format: 'plain' })).toBe('shop_20261121T140501Z_db-7_globals.sql');
  expect(called({ kind: 'cluster', database: null, format: 'plain' })).toBe('shop_20261121T140501Z_db-7.sql');
});

test("the older scripts' names have the tier and the time; the database's only where there are several", () => {
  expect(tierName({ ...dump, tier: 'full' }, true)).toBe('full/full_20261121_140501');
  expect(tierName({ ...dump, tier: 'full' }, false)).toBe('full/full_20261121_140501_crm');
  expect(tierName({ ...dump, kind: 'cluster', database: null }, false)).toBe('weekly/weekly_20261121_140501');
});

test.each([
  ['shop', 'shop'],
  ['Größe 1', 'Größe 1'],
  ['a/b', 'a%2Fb'],
  ['../../etc/passwd', '%2E.%2F..%2Fetc%2Fpasswd'],
  ['.hidden', '%2Ehidden'],
  ['-rf', '%2Drf'],
  ['50%', '50%25'],
  ['a\\b', 'a%5Cb'],
  ['a\tb\u001b[2J', 'a%09b%1B[2J'],
  ['left\u202eright', 'left%E2%80%AEright'],
  [' ', '%20'],
])('the name %j can stand in a file name as %j', (name, safe) => {
  expect(safeName(name)).toBe(safe);
});

test('names of 63 bytes become names of files, and two never the same one', () => {
  const names = ['/'.repeat(63), `${'/'.repeat(62)}a`, `${'/'.repeat(62)}b`, 'ü'.repeat(31), '\u0001'.repeat(63)];
  names.push('%2F', '/', '%', '2F', 'a', 'A', `${'%2F'.repeat(20)}`);
  const files = names.map((database) => fileNames({ ...dump, database, host: 'h'.repeat(63) }).checksum);
  expect(new Set(files).size).toBe(names.length);
  for (const file of files) {
    expect(Buffer.byteLength(file)).toBeLessThanOrEqual(255);
    expect(file).toMatch(/^[^/\0\n\\.-][^/\0\n\\]*$/);
  }
});
