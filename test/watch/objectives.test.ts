import { describe, expect, test } from 'vitest';
import { configSchema } from '../../core/config.ts';
import { ageLimits } from '../../core/objectives.ts';

const now = new Date('2026-11-21T12:00:00Z');
const [minute, hour, day] = [60, 3600, 86_400];

function limits(section: Record<string, unknown>, at = now) {
  const shop = { host: 'db-7', connection: { socket: '/run' }, repositories: ['near', 'far'], ...section };
  const repository = (name: string) => ({ type: 'file', path: `/srv/${name}` });
  const config = configSchema.parse({
    hosts: { 'db-7': {} },
    repositories: { near: repository('near'), far: repository('far') },
    clusters: { shop },
  });
  return ageLimits(config.clusters.shop as (typeof config.clusters)[string], at);
}

describe('the age that is an alarm', () => {
  test('is none where neither objectives nor schedules promise anything', () => {
    expect(limits({})).toEqual({ backup: null, dumps: [], proof: null, copies: {} });
  });

  test('is the objective, whatever is scheduled', () => {
    const schedules = { nightly: { run: 'backup', cron: '0 2 * * *' } };
    expect(limits({ objectives: { backup: '26h', proof: '8d' }, schedules })).toMatchObject({
      backup: { seconds: 26 * hour, said: 'objectives.backup' },
      proof: { seconds: 8 * day, said: 'objectives.proof' },
    });
  });

  test.each([
    ['every hour', { every: '1h' }, 1.5 * hour],
    ['every night', { cron: '0 2 * * *', jitter: '10m' }, 1.5 * day + 10 * minute],
    ['on Sundays', { cron: '0 2 * * 0', jitter: '0s' }, 10.5 * day],
    ['hourly on working days', { cron: '0 8-18 * * 1-5', jitter: '0s' }, 1.5 * (2 * day + 14 * hour)],
    ['on the first of the month', { calendar: { at: '02:00', days: 1 }, jitter: '0s' }, 46.5 * day],
    ['at night, with the jitter of its kind', { calendar: { at: '02:00' } }, 1.5 * day + 30 * minute],
  ])('is half as long again as the longest pause of a backup %s', (_when, when, seconds) => {
    expect(limits({ schedules: { some: { run: 'backup', ...when } } }).backup).toEqual({
      seconds,
      said: 'schedules.some',
    });
  });

  test.each([
    ['2026-03-25', 1.5 * 47 * hour],
    ['2026-03-31', 1.5 * 47 * hour],
    ['2026-05-01', 1.5 * day],
    ['2026-10-24', 1.5 * 25 * hour],
  ])('scenario 43: waits for the night that the clocks skip, and no longer than then: %s', (date, seconds) => {
    const schedules = { nightly: { run: 'backup', cron: '0 2 * * *', jitter: '0s', timezone: 'Europe/Berlin' } };
    expect(limits({ schedules }, new Date(date)).backup?.seconds).toBe(seconds);
  });

  test('is that of the schedule that comes most often, and drills are judged by schedules of drills', () => {
    const schedules = {
      weekly: { run: 'backup', cron: '0 2 * * 0' },
      daily: { run: 'backup', every: '1d' },
      proof: { run: 'drill', every: '7d' },
    };
    expect(limits({ schedules })).toMatchObject({
      backup: { seconds: 1.5 * day, said: 'schedules.daily' },
      proof: { seconds: 10.5 * day, said: 'schedules.proof' },
    });
  });

  test('adds up for a copy, and is none for a repository that no schedule copies to', () => {
    const daily = { run: 'backup', every: '1d' };
    const expected = { far: { seconds: 1.5 * day + 45 * day, said: 'schedules.daily and schedules.offsite' } };
    expect(limits({ schedules: { daily, offsite: { run: 'copy', every: '30d' } } }).copies).toEqual(expected);
    expect(
      limits({ schedules: { daily, offsite: { run: 'copy', every: '30d', with: { to: 'far' } } } }).copies,
    ).toEqual(expected);
    expect(limits({ schedules: { daily } }).copies).toEqual({});
    expect(limits({ schedules: { offsite: { run: 'copy', every: '30d' } } }).copies).toEqual({});
    expect(limits({ write: 'all', schedules: { daily, offsite: { run: 'copy', every: '30d' } } }).copies).toEqual({});
  });
});

describe('the age of dumps that is an alarm', () => {
  const ages = (section: Record<string, unknown>) =>
    limits(section).dumps.map(({ database, limit, parts }) => [database, limit.seconds / hour, limit.said, parts]);
  const daily = { run: 'dump', every: '1d' };

  test('is that of the newest of any where all are dumped, and of each that the configuration names', () => {
    const objectives = { dump: '26h' };
    expect(ages({ objectives })).toEqual([[null, 26, 'objectives.dump', [null]]]);
    expect(ages({ objectives, dumps: { databases: ['shop', 'stock'] } })).toEqual([
      ['shop', 26, 'objectives.dump', [null]],
      ['stock', 26, 'objectives.dump', [null]],
    ]);
  });

  test('is promised by the schedules that dump it with its data: of all, of it alone, or of the whole server', () => {
    const schedules = {
      daily,
      hourly: { run: 'dump', every: '1h', with: { databases: ['shop'], tier: 'hourly' } },
      schema: { run: 'dump', every: '5m', with: { content: 'schema' } },
      globals: { run: 'dump', every: '5m', with: { kind: 'globals' } },
    };
    expect(ages({ schedules })).toEqual([
      [null, 36, 'schedules.daily', [null]],
      ['shop', 1.5, 'schedules.hourly', [null]],
    ]);
    const server = { run: 'dump', every: '12h', with: { kind: 'cluster' } };
    expect(ages({ schedules: { server } })).toEqual([[null, 18, 'schedules.server', [null]]]);
  });

  test('counts dumps that hold what is configured, or more: one of a table that somebody took is none', () => {
    const dumps = { databases: ['shop'], perDatabase: { shop: { excludeTables: ['audit.*'] } } };
    const nightly = { run: 'dump', every: '1d', with: { excludeTableData: ['log'] } };
    expect(ages({ dumps, schedules: { daily, nightly } })).toEqual([
      ['shop', 36, 'schedules.daily', [null, 'without tables audit.*', 'without tables audit.*; without data of log']],
    ]);
  });

  test('adds up for a copy; and drills of dumps are no proof of backups', () => {
    const schedules = {
      daily,
      offsite: { run: 'copy', every: '30d' },
      proof: { run: 'drill', every: '1d', with: { kind: 'dump' } },
    };
    expect(limits({ schedules })).toMatchObject({
      proof: null,
      dumps: [{ copies: { far: { seconds: 1.5 * day + 45 * day, said: 'schedules.daily and schedules.offsite' } } }],
    });
  });
});
