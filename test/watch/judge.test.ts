import { expect, test } from 'vitest';
import type { AgeLimits } from '../../core/objectives.ts';
import { brokenBy, type Seen } from '../../watch/judge.ts';

const now = new Date('2026-11-21T12:00:00Z');
const hour = 3600;
const hoursAgo = (hours: number): string => new Date(now.getTime() - hours * hour * 1000).toISOString();

const limits: AgeLimits = {
  backup: { seconds: 26 * hour, said: 'objectives.backup' },
  dumps: [],
  proof: { seconds: 192 * hour, said: 'schedules.proof' },
  copies: { far: { seconds: 100 * hour, said: 'schedules.daily and schedules.offsite' } },
};
const near: Seen = {
  repository: 'near',
  written: true,
  required: true,
  since: hoursAgo(1000),
  backup: { id: 'new', at: hoursAgo(20) },
  dumps: [],
  proof: { id: 'proof', at: hoursAgo(100) },
  behindSeconds: 250,
};
const far: Seen = {
  ...near,
  repository: 'far',
  written: false,
  required: false,
  backup: { id: 'old', at: hoursAgo(90) },
  proof: null,
};

const found = (...seen: Seen[]) =>
  brokenBy('shop', seen, limits, 300, now).map(({ code, facts }) => `${code} ${facts.objective} ${facts.repository}`);

test('what is as old as it may be is no alarm', () => {
  expect(found(near, far)).toEqual([]);
});

test('an old backup is an alarm in its repository, with both ages', () => {
  const [alarm] = brokenBy('shop', [{ ...near, backup: { id: 'old', at: hoursAgo(27) } }], limits, 300, now);
  expect(alarm).toMatchObject({
    code: 'objective-broken',
    facts: { objective: 'backup', repository: 'near', newest: 'old', seconds: 27 * hour, limitSeconds: 26 * hour },
  });
  expect(alarm?.message).toContain('older than 26 h 0 min is an alarm (objectives.backup)');
  expect(alarm?.hint).toContain('pgproof schedules apply');
});

test('a copy may be older than what it is a copy of, and not for ever', () => {
  expect(found(near, { ...far, backup: { id: 'old', at: hoursAgo(101) } })).toEqual(['objective-broken backup far']);
});

test('no backup at all is an alarm once the era is as old as a backup may be', () => {
  expect(found({ ...near, backup: null, since: hoursAgo(25) })).toEqual([]);
  expect(found({ ...near, backup: null, since: hoursAgo(27) })).toEqual(['objective-broken backup near']);
});

test('the newest proof counts, wherever its report is, and none at all is an alarm once', () => {
  expect(found({ ...near, proof: { id: 'older', at: hoursAgo(500) } }, { ...far, proof: near.proof })).toEqual([]);
  expect(found({ ...near, proof: null }, far)).toEqual(['objective-broken proof null']);
});

test('WAL that is later than the objective is an alarm where it is required, and a minute more is not', () => {
  expect(found({ ...near, behindSeconds: 359 }, { ...far, behindSeconds: 9999 })).toEqual([]);
  expect(found({ ...near, behindSeconds: 361 })).toEqual(['objective-broken rpo near']);
  expect(found({ ...near, behindSeconds: null })).toEqual([]);
  expect(found({ ...near, required: false, behindSeconds: 9999 })).toEqual([]);
});

test('the words of an alarm stay the same while the same thing is wrong, so that it is told once', () => {
  const wordsAt = (later: number) =>
    brokenBy(
      'shop',
      [{ ...near, backup: null, behindSeconds: 400 + later }],
      limits,
      300,
      new Date(now.getTime() + later * 1000),
    ).map(({ message }) => message);
  expect(wordsAt(0)).toHaveLength(2);
  expect(wordsAt(7777)).toEqual(wordsAt(0));
});

test('an old dump is an alarm of its database, and none of it is one, in each repository that is to have it', () => {
  const limit = { seconds: 26 * hour, said: 'objectives.dump' };
  const dumps = ['shop', 'stock'].map((database) => ({ database, isNamed: true, limit, parts: [null], copies: {} }));
  const seen = [
    { ...near, dumps: [{ id: 'old', at: hoursAgo(27) }, null] },
    { ...far, dumps: [null, null] },
  ];
  const alarms = brokenBy('shop', seen, { ...limits, dumps }, 300, now);
  expect(alarms.map(({ message }) => message)).toEqual([
    "the newest dump of database 'shop' in repository 'near' is of 2026-11-20T09:00:00.000Z: older than 26 h 0 min is an alarm (objectives.dump)",
    "there is no dump of database 'stock' in repository 'near', and the era is there since 2026-10-10T20:00:00.000Z: older than 26 h 0 min is an alarm (objectives.dump)",
  ]);
  expect(alarms[0]).toMatchObject({
    facts: { objective: 'dump', database: 'shop' },
    hint: expect.stringContaining('pgproof dump shop'),
  });
});

test('where all databases are dumped, one whose dumps stopped is an alarm; one that was never dumped is none, and none is told of when all are old', () => {
  const limit = { seconds: 26 * hour, said: 'objectives.dump' };
  const any = { database: null, isNamed: true, limit, parts: [null], copies: {} };
  const there = ['shop', 'stock', 'new'].map((database) => ({ ...any, database, isNamed: false }));
  const old = { id: 'old', at: hoursAgo(27) };
  const fresh = { id: 'fresh', at: hoursAgo(1) };
  const databases = (...dumps: (typeof old | null)[]) =>
    brokenBy('shop', [{ ...near, dumps }], { ...limits, dumps: [any, ...there] }, 300, now).map(
      ({ facts }) => facts.database,
    );
  expect(databases(fresh, fresh, old, null)).toEqual(['stock']);
  expect(databases(old, old, old, null)).toEqual([null]);
});
