import { expect, test } from 'vitest';
import { isoOfMicros, microsOf } from '../../core/micros.ts';

test('microseconds are kept, however many digits a time has', () => {
  const second = BigInt(Date.UTC(2026, 10, 21, 3, 1, 44)) * 1000n;
  expect(microsOf('2026-11-21T03:01:44Z')).toBe(second);
  expect(microsOf('2026-11-21T03:01:44.5Z')).toBe(second + 500_000n);
  expect(microsOf('2026-11-21T03:01:44.794103Z')).toBe(second + 794_103n);
});

test.each(['2026-11-21T03:01:44.794103Z', '1969-12-31T23:59:59.999999Z', '2000-01-01T00:00:00.000000Z'])(
  '%s goes there and back',
  (iso) => {
    expect(isoOfMicros(microsOf(iso))).toBe(iso);
  },
);
