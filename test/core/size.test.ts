import { expect, test } from 'vitest';
import { sizeBytes } from '../../core/size.ts';

test.each([
  ['500KB', 500_000],
  ['20MB', 20_000_000],
  ['1GiB', 2 ** 30],
  ['2TiB', 2 ** 41],
])('%s is %d bytes', (text, bytes) => {
  expect(sizeBytes(text)).toBe(bytes);
});

test.each(['20', '20mb', '0MB', '1.5GB', '-1MB', '20 MB', ''])("'%s' is no size", (text) => {
  expect(sizeBytes(text)).toBeUndefined();
});
