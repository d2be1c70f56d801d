import { afterEach, expect, test, vi } from 'vitest';
import { slowClock } from '../../core/hold.ts';
import { parseTarget } from '../../core/target.ts';
import { Nearest } from '../../repository/nearest.ts';
import { selectBackups } from '../../restore/select.ts';
import { dayMs, openStage } from '../expire/support.ts';
import { quietRun } from '../support/run.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('a clock is behind when the newest backup is ten minutes later, and a minute is nothing', () => {
  const newest = { stoppedAt: '2026-11-21T10:00:00Z' };
  expect(slowClock(newest, new Date('2026-11-21T09:51:00Z'))).toBeNull();
  expect(slowClock(newest, new Date('2027-11-21T10:00:00Z'))).toBeNull();
  expect(slowClock(undefined, new Date())).toBeNull();
  expect(slowClock(newest, new Date('2026-11-21T09:49:00Z'))).toBe(
    'the clock of this host (2026-11-21T09:49:00.000Z) is 660 s behind the newest backup (2026-11-21T10:00:00Z)',
  );
});

test('a restore on a host whose clock is behind is planned, and its plan says that what it holds ends too early', async () => {
  const { cluster } = await openStage({ window: '2d' }, { days: 2 });
  const target = parseTarget('latest');
  const select = () => selectBackups(cluster, new Nearest(cluster.repositories), target, null, quietRun());
  expect((await select()).notes).toEqual([]);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 10 * dayMs });
  expect((await select()).notes.join()).toMatch(/^What is held for this ends too early, .* behind the newest backup/);
});
