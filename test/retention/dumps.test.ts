import { describe, expect, test } from 'vitest';
import { configSchema, type DumpRetentionConfig } from '../../core/config.ts';
import type { Hold } from '../../core/hold.ts';
import { type DumpFacts, type DumpPlan, type DumpsFacts, planDumps } from '../../core/retention/dumps.ts';
import { dayMs, days, randomOf } from './world.ts';

const beginning = Date.parse('2026-01-04T23:00:00Z'); // a Sunday

/** The dumps of a cluster, as a repository has them; and what is true of them, which only the test knows. */
class Shelf {
  now = beginning;
  /** What both clocks are wrong by. */
  offMs = 0;
  dumps: (DumpFacts & { madeAt: number })[] = [];
  proofs: { drill: string; dump: string; at: string }[] = [];
  holds: Hold[] = [];
  backupTimes: number[] = [];
  #drawn = 0;

  dump(tier: string, about: Partial<Pick<DumpFacts, 'kind' | 'database' | 'part'>> = {}): string {
    this.#drawn += 1;
    const startedAt = new Date(this.now + this.offMs).toISOString();
    const id = `${startedAt.slice(0, 19).replace(/[-:]/g, '')}Z-logical-${this.#drawn.toString(16).padStart(8, '0')}`;
    const what = { kind: 'database', database: 'shop', part: null, ...about } as const;
    this.dumps.push({ id, ...what, tier, startedAt, storedBytes: 1, madeAt: this.now });
    return id;
  }

  drill(dump: string): void {
    this.proofs.push({ drill: `drill-${this.proofs.length}`, dump, at: new Date(this.now).toISOString() });
  }

  hold(dump: string, forMs: number): void {
    const [heldAt, until] = [0, forMs].map((ahead) => new Date(this.now + this.offMs + ahead).toISOString());
    const of = { cluster: 'shop', operation: 'hand', by: 'db-7', reason: null, needs: [] } as const;
    this.holds.push({ ...of, id: `hold-${this.holds.length}`, heldAt: heldAt!, until: until!, dumps: [dump] });
  }

  plan(tiers: DumpRetentionConfig, most?: number): DumpPlan {
    const { dumps, proofs, holds, backupTimes } = this;
    const facts: DumpsFacts = { dumps, damaged: [], proofs, holds, backupTimes };
    const bound = most === undefined ? {} : { most };
    return planDumps(facts, tiers, { now: this.now + this.offMs, timezone: 'UTC', ...bound });
  }

  expire(tiers: DumpRetentionConfig, { isConfirmed = false, most }: { isConfirmed?: boolean; most?: number } = {}) {
    const plan = this.plan(tiers, most);
    if (plan.refusals.length > 0 && !isConfirmed) return plan;
    const gone = new Set(plan.delete.map(({ dump }) => dump.id));
    this.dumps = this.dumps.filter(({ id }) => !gone.has(id));
    return plan;
  }

  ids = (): string[] => this.dumps.map(({ id }) => id);
}

const tiersOf = (retention: Record<string, unknown>): DumpRetentionConfig => {
  const shop = { host: 'a', connection: { socket: '/s' }, repositories: ['r'], retention: { dumps: retention } };
  const repositories = { r: { type: 'file', path: '/r' } };
  return configSchema.parse({ hosts: { a: {} }, repositories, clusters: { shop } }).clusters.shop!.retention.dumps;
};

/** A dump a day at 23:00. */
function daily(count: number, tier = 'daily'): Shelf {
  const shelf = new Shelf();
  for (let day = 0; day < count; day += 1) {
    shelf.dump(tier);
    shelf.now += dayMs;
  }
  return shelf;
}

const kept = (shelf: Shelf, retention: Record<string, unknown>): number[] =>
  shelf.plan(tiersOf(retention)).keep.map(({ dump }) => shelf.ids().indexOf(dump.id) + 1);

describe('the rules of a tier', () => {
  test.each([
    [{ last: 2 }, [9, 10]],
    [{ window: '3d' }, [7, 8, 9, 10]],
    [{ daily: 3 }, [8, 9, 10]],
    [{ weekly: 2 }, [8, 10]],
    [{ monthly: 1, last: 1 }, [10]],
    [{ last: 1, minimum: 3 }, [8, 9, 10]],
    [{}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    [{ last: 0 }, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
  ])('%j of ten days, the first a Sunday', (rules, wanted) => {
    expect(kept(daily(10), { daily: rules })).toEqual(wanted);
  });

  test('dumps of a tier without rules are never deleted, whatever the others say', () => {
    expect(kept(daily(10, 'manual'), { daily: { last: 1 } })).toHaveLength(10);
  });

  test('a window is counted back from the newest of the tier: while none are made, nothing expires', () => {
    const shelf = daily(10);
    shelf.now += 1000 * dayMs;
    expect(kept(shelf, { daily: { window: '3d' } })).toEqual([7, 8, 9, 10]);
  });

  test('each dump is told with what keeps it, or with the rules that do not', () => {
    const { keep, delete: gone } = daily(3).plan(tiersOf({ daily: { last: 2, weekly: 1 } }));
    expect(keep.map(({ reasons }) => reasons.map(({ rule, because }) => `${rule} ${because}`))).toEqual([
      ['last among the last 2'],
      ['newest of shop', 'minimum among the newest 1', 'last among the last 2', 'weekly newest of 2026-W02'],
    ]);
    expect(gone.map(({ why }) => why)).toEqual(['daily: not needed for the last 2, weekly 1']);
  });

  test('one run is bounded: the oldest go first', () => {
    const shelf = daily(20);
    expect(shelf.expire(tiersOf({ daily: { last: 10 } }), { isConfirmed: true, most: 4 }).delete).toHaveLength(4);
    expect(shelf.dumps).toHaveLength(16);
  });
});

describe('what is counted alone', () => {
  test('each database, the globals, the whole server, and dumps that hold only some of a database', () => {
    const shelf = new Shelf();
    const all = [
      {},
      { database: 'stock' },
      { kind: 'globals', database: null },
      { kind: 'cluster', database: null },
      { part: 'schema only' },
    ] as const;
    for (let day = 0; day < 3; day += 1) {
      for (const about of all) shelf.dump('daily', about);
      shelf.now += dayMs;
    }
    expect(kept(shelf, { daily: { last: 2 } })).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  });

  test('the newest dump of a database stays, also where a rule of its tier wants none and newer ones hold less', () => {
    const shelf = new Shelf();
    shelf.dump('daily');
    shelf.now += dayMs;
    const whole = shelf.dump('weekly');
    for (let day = 0; day < 5; day += 1) {
      shelf.now += dayMs;
      shelf.dump('daily', { part: 'schema only' });
    }
    const tiers = tiersOf({ daily: { last: 1 }, weekly: { last: 1 } });
    expect(shelf.plan(tiers).keep.find(({ dump }) => dump.id === whole)?.reasons[0]).toEqual({
      rule: 'newest',
      because: 'of shop',
    });
  });
});

describe('what stays whatever the rules say', () => {
  test('the newest proven dump of a database, whatever its tier, and only that one', () => {
    const shelf = daily(10);
    shelf.drill(shelf.ids()[2]!);
    shelf.drill(shelf.ids()[4]!);
    shelf.drill(shelf.ids()[1]!); // drilled last, but older
    expect(kept(shelf, { daily: { last: 2 } })).toEqual([5, 9, 10]);
  });

  test('what is held, until it ends', () => {
    const shelf = daily(10);
    shelf.hold(shelf.ids()[2]!, 5 * dayMs);
    expect(kept(shelf, { daily: { last: 2 } })).toEqual([3, 9, 10]);
    shelf.now += 5 * dayMs;
    shelf.dump('daily');
    shelf.now += dayMs;
    shelf.dump('daily');
    expect(kept(shelf, { daily: { last: 2 } })).toEqual([11, 12]);
  });

  test('a hold of the whole cluster holds dumps, too', () => {
    const shelf = daily(10);
    shelf.hold('none', 5 * dayMs);
    shelf.holds[0] = { ...shelf.holds[0]!, needs: null };
    expect(shelf.plan(tiersOf({ daily: { last: 2 } })).delete).toEqual([]);
  });

  test('a damaged one is left alone and counts for nothing', () => {
    const { dumps } = daily(3);
    const facts = { dumps, damaged: [{ id: 'x', why: 'cut off' }], proofs: [], holds: [], backupTimes: [] };
    const plan = planDumps(facts, tiersOf({ daily: { last: 2 } }), { now: beginning + 9 * dayMs, timezone: 'UTC' });
    expect(plan.delete).toHaveLength(1);
    expect(plan.notes).toContain('Dump x is damaged and is left alone: cut off.');
  });
});

describe('what needs a person', () => {
  test('more than half of a tier', () => {
    expect(daily(10).plan(tiersOf({ daily: { last: 5 } })).refusals).toEqual([]);
    expect(daily(10).plan(tiersOf({ daily: { last: 4 } })).refusals).toEqual([
      '6 of 10 dumps of tier daily would go, more than half',
    ]);
    const shelf = daily(10);
    for (let count = 0; count < 90; count += 1) shelf.dump('manual');
    expect(shelf.plan(tiersOf({ daily: { last: 4 } })).refusals).toHaveLength(1);
  });

  test('scenario 38: a silence that makes all before it look old, unless backups went on in it', () => {
    const shelf = daily(10);
    shelf.offMs = 365 * dayMs;
    shelf.dump('daily');
    const rules = tiersOf({ daily: { window: '7d' } });
    expect(shelf.plan(rules).refusals[0]).toMatch(/^no backup and no dump was made between .*, or a clock jumped/);
    shelf.backupTimes = Array.from({ length: 375 }, (_, day) => beginning + day * dayMs);
    expect(shelf.plan(rules).refusals.join()).not.toMatch(/clock/);
  });

  test('scenario 38: a hold that has ended only by a clock that jumped', () => {
    const shelf = daily(10);
    shelf.hold(shelf.ids()[2]!, 90 * dayMs);
    shelf.offMs = 365 * dayMs;
    shelf.dump('daily');
    expect(shelf.plan(tiersOf({ daily: { last: 8 } })).refusals[0]).toMatch(/has ended what hold-0 holds$/);
  });

  test('scenario 38: of a clock that fell behind, or dumps of one that was ahead, nothing is counted that is later', () => {
    const shelf = daily(10);
    shelf.now -= 365 * dayMs;
    expect(shelf.plan(tiersOf({ daily: { last: 8 } }))).toMatchObject({ delete: [], refusals: [] });
    const strayed = daily(5);
    strayed.offMs = 365 * dayMs;
    strayed.dump('daily');
    strayed.offMs = 0;
    for (let day = 0; day < 5; day += 1) {
      strayed.dump('daily');
      strayed.now += dayMs;
    }
    const plan = strayed.plan(tiersOf({ daily: { last: 5, window: '5d' } }));
    expect(plan.delete).toHaveLength(4); // the tenth lies at the edge of the window
    expect(plan.refusals).toEqual([]);
    expect(plan.keep.at(-1)?.reasons[0]?.rule).toBe('doubt');
  });
});

describe('two years of weekly and daily dumps of two databases', () => {
  const tiers = tiersOf({ weekly: { weekly: 12 }, daily: { last: 7 } });

  /** What the schedule of dumps promises, by what is true of them. */
  function assertPromise(shelf: Shelf, made: Shelf['dumps'], what: string): void {
    for (const database of ['shop', 'stock']) {
      const of = (tier: string) => made.filter((dump) => dump.database === database && dump.tier === tier);
      for (const { id } of [...of('daily').slice(-7), ...of('weekly').slice(-12)])
        if (!shelf.ids().includes(id)) expect.fail(`${what}: ${id} of ${database} is gone`);
    }
  }

  test('twelve weeks of the one and seven days of the other are there every day, nothing piles up, nobody is asked', () => {
    const shelf = new Shelf();
    const made: Shelf['dumps'] = [];
    for (let day = 0; day < 730; day += 1) {
      for (const database of ['shop', 'stock']) {
        if (day % 7 === 0) shelf.dump('weekly', { database });
        shelf.dump('daily', { database });
      }
      made.push(...shelf.dumps.filter(({ madeAt }) => madeAt === shelf.now));
      const { refusals } = shelf.expire(tiers);
      expect(refusals, `day ${day}`).toEqual([]);
      assertPromise(shelf, made, `day ${day}`);
      expect(shelf.dumps.length).toBeLessThanOrEqual(2 * (12 + 7));
      shelf.now += dayMs;
    }
  });

  test.each([1, 2, 3])(
    'with dumps that fail, drills, holds and bounded runs, what must stay is there every day (%i)',
    (seed) => {
      const random = randomOf(seed);
      const shelf = new Shelf();
      const proven = new Map<string, string>();
      const held = new Map<string, number>();
      for (let day = 0; day < 730; day += 1) {
        for (const database of ['shop', 'stock']) {
          const part = random() < 0.1 ? 'schema only' : null;
          if (random() < 0.12) shelf.dump('weekly', { database, part });
          if (random() < 0.8) shelf.dump('daily', { database, part });
          if (random() < 0.05) shelf.dump('manual', { database, part });
          const last = shelf.dumps.findLast((dump) => dump.database === database);
          if (last !== undefined && random() < 0.1) {
            shelf.drill(last.id);
            proven.set(`${database} ${last.part}`, last.id);
          }
          if (last !== undefined && random() < 0.03) {
            shelf.hold(last.id, 40 * dayMs);
            held.set(last.id, shelf.now + 40 * dayMs);
          }
        }
        const newest = Map.groupBy(shelf.dumps, ({ database, part }) => `${database} ${part}`);
        const must = [
          ...proven.values(),
          ...[...held].flatMap(([id, until]) => (until >= shelf.now ? [id] : [])),
          ...[...newest.values()].map((series) => series.at(-1)!.id),
          ...shelf.dumps.filter(({ tier }) => tier === 'manual').map(({ id }) => id),
        ];
        shelf.expire(tiers, { isConfirmed: true, most: random() < 0.5 ? 2 : 200 });
        const there = new Set(shelf.ids());
        for (const id of must) if (!there.has(id)) expect.fail(`seed ${seed}, day ${day}: ${id} is gone`);
        shelf.now += dayMs;
      }
    },
  );

  test.each([
    [-365, 150],
    [-10, 150],
    [10, 110], // then comes the day that it has stamped
    [365, 150],
  ])(
    'scenario 38: both clocks are wrong by %i days for three days, and nobody confirms anything: every promise is kept',
    (off, until) => {
      for (const rules of [tiers, tiersOf({ weekly: { window: '84d' }, daily: { window: '7d' } })]) {
        const shelf = new Shelf();
        const made: Shelf['dumps'] = [];
        for (let day = 0; day < until; day += 1) {
          shelf.offMs = day >= 100 && day < 103 ? off * dayMs : 0;
          for (const database of ['shop', 'stock']) {
            if (day % 7 === 0) shelf.dump('weekly', { database });
            shelf.dump('daily', { database });
          }
          made.push(...shelf.dumps.filter(({ madeAt }) => madeAt === shelf.now));
          shelf.expire(rules);
          // A dump that a slow clock has stamped is as old as it says.
          const stamped = made.filter(({ startedAt, madeAt }) => Date.parse(startedAt) >= madeAt);
          assertPromise(shelf, stamped, `${off}, day ${day}`);
          shelf.now += dayMs;
        }
      }
    },
  );
});

test('every random shelf: what goes is in a tier with rules, is not the newest, proven or held, and enough newer ones stay', () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = randomOf(seed);
    const upTo = (below: number): number => Math.floor(random() * below);
    const rules = { a: { last: upTo(4), minimum: 1 + upTo(3) }, b: { window: `${1 + upTo(20)}d` }, c: {} };
    const shelf = new Shelf();
    for (let count = upTo(40); count > 0; count -= 1) {
      const id = shelf.dump(['a', 'b', 'c'][upTo(3)]!, { database: `db${upTo(3)}`, part: upTo(5) === 0 ? 'x' : null });
      if (upTo(8) === 0) shelf.drill(id);
      if (upTo(8) === 0) shelf.hold(id, 1e12);
      shelf.now += upTo(5) * dayMs;
    }
    const { keep, delete: gone } = shelf.plan(tiersOf(rules));
    expect(keep.length + gone.length).toBe(shelf.dumps.length);
    for (const { dump } of gone) {
      const series = shelf.dumps.filter(({ database, part }) => database === dump.database && part === dump.part);
      const tier = series.filter((one) => one.tier === dump.tier);
      const newer = keep.filter(({ dump: one }) => tier.indexOf(one as never) > tier.indexOf(dump as never));
      expect(dump.tier).not.toBe('c');
      expect(series.at(-1)?.id).not.toBe(dump.id);
      expect(shelf.holds.flatMap(({ dumps }) => dumps)).not.toContain(dump.id);
      const proven = series.filter(({ id }) => shelf.proofs.some((proof) => proof.dump === id));
      expect(proven.at(-1)?.id).not.toBe(dump.id);
      const enough = dump.tier === 'a' ? Math.max(rules.a.last, rules.a.minimum) : 1;
      if (dump.tier === 'a') expect(rules.a.last).toBeGreaterThan(0);
      expect(tier.slice(tier.findIndex(({ id }) => id === dump.id) + 1).length).toBeGreaterThanOrEqual(enough);
      expect(newer.length).toBeLessThanOrEqual(tier.length);
      const age = Date.parse(tier.at(-1)!.startedAt) - Date.parse(dump.startedAt);
      if (dump.tier === 'b') expect(age).toBeGreaterThan(days(Number.parseInt(rules.b.window, 10)) * 1000);
    }
  }
});
