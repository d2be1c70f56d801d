import { describe, expect, test } from 'vitest';
import { configSchema } from '../../core/config.ts';
import { calendarOf } from '../../core/retention/calendar.ts';
import { believedTimes } from '../../core/retention/clock.ts';
import { joinRanges } from '../../core/retention/cuts.ts';
import { minus, union } from '../../core/retention/intervals.ts';
import { dayMs, days, randomOf, rulesOf, World } from './world.ts';

/** A backup a day, for so many days. */
function daily(count: number): World {
  const world = new World();
  for (let day = 0; day < count; day += 1) {
    world.backup();
    world.hours(23);
  }
  return world;
}

const kept = (world: World, rules: Parameters<typeof rulesOf>[0], options = {}): number[] => {
  const { keep } = world.plan(rulesOf(rules), options);
  return keep.map(({ id }) => world.ids().indexOf(id) + 1);
};

describe('the rules', () => {
  test('a window keeps what was made since, and the one before; counted from the newest backup, not from the clock', () => {
    expect(kept(daily(10), { window: days(3) })).toEqual([7, 8, 9, 10]);
    const world = daily(10);
    world.hours(24 * 100);
    expect(kept(world, { window: days(3) })).toEqual([7, 8, 9, 10]);
  });

  test('WAL for longer than the window keeps the backup that it is replayed from, and the one that follows it', () => {
    expect(kept(daily(20), { window: days(3), wal: days(9) })).toEqual([11, 12, 17, 18, 19, 20]);
  });

  test('a backup that lies on the edge of the window to the second is the one before it', () => {
    expect(kept(daily(4), { window: days(1) })).toEqual([3, 4]);
  });

  test.each([
    [{ last: 2 }, [9, 10]],
    [{ daily: 3 }, [8, 9, 10]],
    [{ weekly: 2 }, [7, 10]],
    [{ monthly: 2 }, [10]],
    [{ daily: 2, weekly: 2 }, [7, 9, 10]],
    [{ last: 1, minimum: 3 }, [8, 9, 10]],
    [{}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    [{ window: 0, last: 0 }, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
  ])('%j of ten days', (rules, wanted) => {
    expect(kept(daily(10), rules)).toEqual(wanted);
  });

  test('days, weeks, months and years are those of the timezone', () => {
    const at = Date.parse('2026-12-31T20:00:00Z');
    const names = (zone: string) =>
      (['daily', 'weekly', 'monthly', 'yearly'] as const).map((period) => calendarOf(zone)(period, at));
    expect(names('UTC')).toEqual(['2026-12-31', '2026-W53', '2026-12', '2026']);
    expect(names('Asia/Shanghai')).toEqual(['2027-01-01', '2026-W53', '2027-01', '2027']);
  });

  test('every backup is told with the rule that keeps it, or with the rules that do not', () => {
    const world = daily(10);
    const plan = world.plan(rulesOf({ window: days(2), weekly: 2 }));
    expect(plan.keep.map(({ reasons }) => reasons.map(({ rule, because }) => `${rule} ${because}`))).toEqual([
      ['weekly newest of 2026-W02'],
      ['window the one before 2026-01-12T01:00:00.000Z'],
      ['window since 2026-01-12T01:00:00.000Z'],
      ['minimum among the newest 1', 'window since 2026-01-12T01:00:00.000Z', 'weekly newest of 2026-W03'],
    ]);
    expect(plan.delete[0]?.why).toBe('not needed for the window since 2026-01-12T01:00:00.000Z, weekly 2');
  });

  test('a longer time for WAL than for the window is demanded by the configuration', () => {
    const config = {
      hosts: { a: {} },
      repositories: { r: { type: 'file', path: '/r' } },
      clusters: {
        shop: { host: 'a', connection: { socket: '/s' }, repositories: ['r'], retention: { window: '7d', wal: '7d' } },
      },
    };
    expect(configSchema.safeParse(config).error?.issues[0]).toMatchObject({
      path: ['clusters', 'shop', 'retention', 'wal'],
      message: 'must be longer than window, whose WAL is kept anyway',
    });
  });
});

describe('what stays whatever the rules say', () => {
  test('the newest proven backup of an era, its chain, and WAL up to the target of its drill', () => {
    const world = new World();
    const full = world.backup();
    world.hours(23);
    const increment = world.backup({ parent: full });
    world.hours(5);
    world.drill(increment);
    const target = world.moments.at(-1)!;
    world.hours(18);
    for (let day = 0; day < 8; day += 1) {
      world.backup();
      world.hours(23);
    }
    const before = world.era.archive.size;
    world.expire(rulesOf({ window: days(2) }), { isConfirmed: true });
    expect(world.ids().slice(0, 2)).toEqual([full, increment]);
    expect(world.canRestore(target)).toBe(true);
    expect(world.era.archive.size).toBeLessThan(before - 100);
  });

  test('a proof of an older backup does not stand in for that of a newer one, however late it was made', () => {
    const world = daily(10);
    world.drill(world.ids()[3]!);
    world.drill(world.ids()[1]!);
    expect(kept(world, { last: 1 })).toEqual([4, 10]);
  });

  test('the parents of what is kept, and increments of a full one that is among the last', () => {
    const world = new World();
    const full = world.backup();
    world.hours(20);
    const one = world.backup({ parent: full });
    world.hours(20);
    world.backup({ parent: one });
    world.hours(20);
    world.backup();
    expect(kept(world, { last: 1 })).toEqual([4]);
    expect(kept(world, { daily: 2 })).toEqual([1, 2, 3, 4]);
    expect(kept(world, { last: 2 })).toEqual([1, 2, 3, 4]);
    expect(world.plan(rulesOf({ last: 1 })).delete.map(({ id }) => world.ids().indexOf(id) + 1)).toEqual([3, 2, 1]);
  });

  test('an increment whose parent is not there whole: nobody can decide about it', () => {
    const world = daily(9);
    world.backup({ parent: '20250101T000000Z-full-00000000' });
    world.hours(23);
    world.backup();
    expect(kept(world, { last: 1 })).toEqual([10, 11]);
    expect(world.plan(rulesOf({ last: 1 })).keep[0]?.reasons[0]?.rule).toBe('doubt');
  });

  test('an era of which something cannot be read', () => {
    const world = daily(10);
    world.era.doubt = 'timeline 2 has two different history files';
    const plan = world.plan(rulesOf({ last: 1 }));
    expect(plan.delete).toEqual([]);
    expect(world.planWal(plan)).toMatchObject([{ cuts: [], doubt: 'timeline 2 has two different history files' }]);
  });

  test('a damaged increment may be one of any backup; a damaged full one keeps its WAL where its place is known', () => {
    const world = daily(10);
    const [lost] = world.backups.splice(4, 1);
    world.damaged = [{ id: lost!.id, era: lost!.era, why: 'cut off', place: lost! }];
    world.expire(rulesOf({ last: 1 }), { isConfirmed: true });
    expect(world.hasWal(lost!.era, world.pathTo(lost!.era, 1), lost!.startLsn, lost!.stopLsn)).toBe(true);
    const other = daily(10);
    other.damaged = [{ id: '20260105T120000Z-incr-000000ff', era: other.era.era, why: 'cut off', place: null }];
    expect(kept(other, { last: 1 }).filter((place) => place > 0)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test('what an old primary has left stays as long as the time from which all is kept', () => {
    const world = daily(5);
    const left = world.backup();
    world.hours(3);
    world.failOver(4);
    for (let day = 0; day < 4; day += 1) {
      world.backup();
      world.hours(23);
    }
    expect(world.plan(rulesOf({ window: days(6) })).keep.find(({ id }) => id === left)?.reasons[0]?.rule).toBe(
      'branch',
    );
    world.expire(rulesOf({ window: days(2) }), { isConfirmed: true });
    expect(world.ids()).not.toContain(left);
    expect(world.canRestore(world.moments.at(-30)!)).toBe(true);
  });
});

describe('what needs a person', () => {
  test('more than half of the backups', () => {
    expect(daily(10).plan(rulesOf({ last: 5 })).refusals).toEqual([]);
    expect(daily(10).plan(rulesOf({ last: 4 })).refusals).toEqual(['6 of 10 backups would go, more than half']);
  });

  test('a clock that is behind the newest backup', () => {
    const world = daily(10);
    world.hostOffMs = -dayMs * 30;
    expect(world.plan(rulesOf({ last: 8 })).refusals[0]).toMatch(
      /^the clock cannot be right: the newest backup says 2026-01-14/,
    );
  });

  test('scenario 38: a silence that makes everything before it old: a clock that jumped, or weeks without backups', () => {
    const world = daily(10);
    world.serverOffMs = 365 * dayMs;
    world.hostOffMs = 365 * dayMs;
    world.backup();
    const plan = world.plan(rulesOf({ window: days(7) }));
    expect(plan.refusals[0]).toMatch(/^no backup was made between 2026-01-14.* and 2027-01-15.*, or a clock jumped/);
    const few = daily(2);
    few.serverOffMs = 365 * dayMs;
    few.hostOffMs = 365 * dayMs;
    for (let day = 0; day < 2; day += 1) {
      few.backup();
      few.hours(23);
      expect(few.plan(rulesOf({ window: days(7) })).refusals[0]).toMatch(/or a clock jumped/);
    }
  });

  test('scenario 38: a hold that has ended only by a clock that jumped, also where nothing else is counted by time', () => {
    const world = daily(10);
    const [heldAt, until] = [0, 90].map((ahead) =>
      new Date(Date.parse(world.backups.at(-1)!.stoppedAt) + ahead * dayMs).toISOString(),
    ) as [string, string];
    const needs = [{ era: world.backups[0]!.era, backups: [world.ids()[2]!], wal: [] }];
    const of = { cluster: 'shop', operation: 'hand', by: 'db-7', reason: null } as const;
    world.holds = [{ ...of, id: '20260101T000000Z-hand-00000001', heldAt, until, needs }];
    expect(kept(world, { last: 8 })).toContain(3);
    world.serverOffMs = 365 * dayMs;
    world.hostOffMs = 365 * dayMs;
    world.backup();
    const wanted = /or a clock jumped: only by that has ended what 20260101T000000Z-hand-00000001 holds$/;
    expect(world.plan(rulesOf({ last: 8 })).refusals[0]).toMatch(wanted);
    expect(world.plan(rulesOf({ last: 20 })).refusals[0]).toMatch(wanted);
  });

  test('one run is bounded: the oldest go first, and the next run goes on', () => {
    const world = daily(20);
    const plan = world.expire(rulesOf({ window: days(2) }), { most: 5, isConfirmed: true });
    expect(plan.delete).toHaveLength(5);
    expect(world.backups).toHaveLength(15);
    expect(world.planWal(plan, 10).reduce((sum, { segments }) => sum + segments, 0)).toBeLessThanOrEqual(10);
  });
});

describe('times that contradict the order of the WAL', () => {
  const believed = (times: number[]) =>
    [...believedTimes(times.map((at, index) => ({ id: `${index}`, at }))).entries()]
      .sort(([a], [b]) => Number(a) - Number(b))
      .map(([, at]) => at);

  test.each([
    [
      [1, 2, 3, 4],
      [1, 2, 3, 4],
    ],
    [
      [1, 2, 365, 4, 5],
      [1, 2, 4, 4, 5],
    ],
    [
      [1, 2, -365, 4, 5],
      [1, 2, 4, 4, 5],
    ],
    [
      [1, 2, 3, 365, 4],
      [1, 2, 3, 4, 4],
    ],
    [
      [1, 2, 3, -365],
      [1, 2, 3, 3],
    ],
  ])('%j are believed to be %j', (times, wanted) => {
    expect(believed(times)).toEqual(wanted);
  });
});

test('ranges and intervals are joined, and taken from each other', () => {
  const random = randomOf(7);
  for (let round = 0; round < 300; round += 1) {
    const draw = () =>
      Array.from({ length: 5 }, () => {
        const from = BigInt(Math.floor(random() * 40));
        return { from, to: random() < 0.1 ? null : from + BigInt(Math.floor(random() * 8)) };
      });
    const [some, others] = [union(draw()), union(draw())];
    const has = (all: readonly { from: bigint; to: bigint | null }[], number: bigint) =>
      all.some(({ from, to }) => from <= number && (to === null || number <= to));
    for (let number = 0n; number < 60n; number += 1n)
      expect(has(minus(some, others), number)).toBe(has(some, number) && !has(others, number));
    for (const [index, { from }] of some.entries()) expect(index === 0 || from > some[index - 1]!.to! + 1n).toBe(true);
  }
  const range = (from: string, to: string) => ({ timeline: 1, from: from as never, to: to as never });
  expect(
    joinRanges([range('0/2000000', '0/3000000'), range('0/1000000', '0/2000000'), range('0/5000000', '0/6000000')]),
  ).toEqual([range('0/1000000', '0/3000000'), range('0/5000000', '0/6000000')]);
});
