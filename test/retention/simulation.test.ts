import { describe, expect, test } from 'vitest';
import type { RetentionRules } from '../../core/retention/facts.ts';
import { dayMs, days, randomOf, rulesOf, World } from './world.ts';

/* Two years of a cluster, a day at a time, each ending with an expire. What must hold is looked up in the archive itself. */

/** PGPROOF_TEST_FULL draws more. */
const seeds = Array.from({ length: process.env.PGPROOF_TEST_FULL ? 60 : 3 }, (_, index) => index + 1);
const length = 730;
const timeout = 120_000;

/** Every sixth hour since, and the newest: of the era's and timelines' moments that count. */
function assertWindow(world: World, seconds: number, what: string): void {
  const since = world.now - seconds * 1000;
  const wanted = world.moments.filter(({ at }, index) => at >= since && at >= firstBackup(world) && index % 6 === 0);
  for (const moment of wanted)
    if (!world.canRestore(moment) && world.couldEverRestore(moment))
      expect.fail(`${what}: ${new Date(moment.at).toISOString()} is lost`);
}

const firsts = new WeakMap<World, number>();
const firstBackup = (world: World): number => firsts.get(world) ?? Number.POSITIVE_INFINITY;

function assertWhole(world: World, what: string): void {
  for (const { id, era, timeline, startLsn, stopLsn, parent } of world.backups) {
    expect(world.hasWal(era, world.pathTo(era, timeline), startLsn, stopLsn), `${what}: WAL of ${id}`).toBe(true);
    if (parent !== null) expect(world.ids(), `${what}: parent of ${id}`).toContain(parent);
  }
}

/** The newest proven backup that there ever was of each era, and the WAL up to the target of its drill. */
function assertProofs(world: World, newest: ReadonlyMap<string, string>, what: string): void {
  for (const [era, id] of newest) {
    expect(world.ids(), `${what}: proof of ${era}`).toContain(id);
    const { timeline, startLsn } = world.backups.find((each) => each.id === id)!;
    const { upTo } = world.proofs.findLast(({ backup }) => backup === id)!;
    const path = world.pathTo(era, upTo?.timeline ?? timeline);
    if (upTo !== null)
      expect(world.hasWal(era, path, startLsn, upTo.lsn), `${what}: WAL of the proof of ${era}`).toBe(true);
  }
}

const policies: { name: string; rules: RetentionRules; everyHours: number; mostKept: number }[] = [
  { name: 'a window of a week', rules: rulesOf({ window: days(7) }), everyHours: 24, mostKept: 12 },
  {
    name: 'a window of two days, four backups a day',
    rules: rulesOf({ window: days(2) }),
    everyHours: 6,
    mostKept: 18,
  },
  {
    name: 'a week of backups, a fortnight of WAL',
    rules: rulesOf({ window: days(7), wal: days(14) }),
    everyHours: 24,
    mostKept: 16,
  },
  { name: 'the last three', rules: rulesOf({ last: 3 }), everyHours: 24, mostKept: 10 },
  {
    name: 'grandfathers',
    rules: rulesOf({ window: days(7), daily: 14, weekly: 8, monthly: 12, yearly: 2 }),
    everyHours: 24,
    mostKept: 48,
  },
];

describe('two years', () => {
  for (const { name, rules, everyHours, mostKept } of policies) {
    test(`${name}: nothing is missed, nothing piles up, nobody is asked`, { timeout }, () => {
      const world = new World();
      let largest = 0;
      let deleted = 0;
      for (let day = 0; day < length; day += 1) {
        for (let hour = 0; hour < 24; hour += everyHours) {
          const id = world.backup();
          if (day === 0 && hour === 0) firsts.set(world, world.now);
          world.hours(everyHours - 1);
          if (day % 7 === 3) world.drill(id);
        }
        const plan = world.expire(rules);
        expect(plan.refusals, `day ${day}`).toEqual([]);
        deleted += plan.delete.length;
        largest = Math.max(largest, world.backups.length);
        if (day % 11 === 0) assertWhole(world, `day ${day}`);
        if (rules.window !== undefined && day % 13 === 0)
          assertWindow(world, Math.max(rules.window, rules.wal ?? 0), `day ${day}`);
        if (rules.last !== undefined)
          expect(world.backups.length).toBeGreaterThanOrEqual(Math.min(rules.last, day + 1));
      }
      expect(largest).toBeLessThanOrEqual(mostKept);
      expect(deleted).toBeGreaterThan(600);
      expect(world.era.archive.size).toBeLessThan(24 * 80);
    });
  }

  test.each(seeds)(
    'backups that fail, failovers, new eras, lost WAL, drills and holds: what must stay is there every day (%i)',
    { timeout },
    (seed) => {
      const random = randomOf(seed);
      const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
      const rules = pick(policies).rules;
      const world = new World();
      const proven = new Map<string, string>();
      let last: string | null = null;
      for (let day = 0; day < length; day += 1) {
        if (random() < 0.01) world.failOver(Math.floor(random() * 4));
        if (random() < 0.003) {
          world.newEra();
          last = null;
        }
        const isBackedUp = random() < 0.9;
        if (isBackedUp) {
          const parent =
            last !== null &&
            random() < 0.4 &&
            !world.backups.some(
              ({ id, timeline }) => id === last && timeline !== Math.max(1, ...world.era.histories.keys()),
            )
              ? last
              : null;
          last = world.backup({ parent });
          if (!firsts.has(world)) firsts.set(world, world.now);
        }
        world.hours(20);
        if (last !== null && random() < 0.15 && world.ids().includes(last)) {
          world.drill(last, random() < 0.2 ? null : undefined);
          proven.set(world.era.era, last);
        }
        if (random() < 0.02 && last !== null && world.ids().includes(last)) hold(world, last, day);
        const held = world.holds
          .filter(({ until }) => Date.parse(until) >= world.now)
          .flatMap(({ needs }) => needs!.flatMap(({ backups }) => backups));
        const plan = world.expire(rules, { isConfirmed: true, most: pick([2, 3, 200]) });
        for (const id of held) expect(world.ids(), `day ${day}: held`).toContain(id);
        const what = `seed ${seed}, day ${day}, deleted ${plan.delete.map(({ id }) => id).join(' ')}`;
        assertWhole(world, what);
        assertProofs(world, proven, what);
        if (rules.window !== undefined && day % 9 === 0)
          assertWindow(world, Math.max(rules.window, rules.wal ?? 0), what);
        const newest = world.backups.at(-1);
        if (newest !== undefined && isBackedUp) expect(world.canRestore(world.moments.at(-1)!), what).toBe(true);
      }
    },
  );

  test.each([
    ['the host that plans jumps a year ahead', { host: 365 }],
    ['the host that plans falls a year behind', { host: -365 }],
    ['the server jumps a year ahead', { server: 365 }],
    ['the server falls a year behind', { server: -365 }],
    ['both jump a year ahead', { host: 365, server: 365 }],
    ['both fall a year behind', { host: -365, server: -365 }],
    ['both jump ten days ahead', { host: 10, server: 10 }],
  ])(
    'scenario 38: %s for three days, and nobody confirms anything: every second of the window is there',
    { timeout },
    (_, off) => {
      const { host = 0, server = 0 }: { host?: number; server?: number } = off;
      for (const rules of [rulesOf({ window: days(7) }), rulesOf({ window: days(7), daily: 10, monthly: 3 })]) {
        const world = new World();
        let refused = 0;
        for (let day = 0; day < 60; day += 1) {
          const isWrong = day >= 30 && day < 33;
          world.hostOffMs = isWrong ? host * dayMs : 0;
          world.serverOffMs = isWrong ? server * dayMs : 0;
          world.backup();
          if (day === 0) firsts.set(world, world.now);
          world.hours(23);
          refused += world.expire(rules).refusals.length;
          assertWhole(world, `day ${day}`);
          assertWindow(world, days(7), `day ${day}`);
        }
        if (host >= 365 && server >= 365) expect(refused).toBeGreaterThan(0);
      }
    },
  );

  test('no backups are made for a year: what was there is there', () => {
    const world = new World();
    for (let day = 0; day < 20; day += 1) {
      world.backup();
      world.hours(23);
      world.expire(rulesOf({ window: days(7) }));
    }
    const before = world.ids();
    for (let day = 0; day < 365; day += 1) {
      world.hours(24);
      expect(world.expire(rulesOf({ window: days(7) })).delete).toEqual([]);
    }
    expect(world.ids()).toEqual(before);
  });
});

function hold(world: World, backup: string, day: number): void {
  const { era } = world.backups.find(({ id }) => id === backup)!;
  world.holds.push({
    id: `hold-${day}`,
    cluster: 'shop',
    operation: 'hand',
    by: 'db-7',
    reason: 'audit',
    heldAt: new Date(world.now).toISOString(),
    until: new Date(world.now + 40 * dayMs).toISOString(),
    needs: [{ era, backups: [backup], wal: [] }],
  });
}
