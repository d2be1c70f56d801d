import { describe, expect, test } from 'vitest';
import { configText } from '../../client/init/config.ts';
import type { InitPlan } from '../../client/init/plan.ts';
import { wantedSchedules } from '../../core/schedule/wanted.ts';
import { chooseStrategy } from '../../core/strategy/choose.ts';
import type { Needs, OldScript } from '../../core/strategy/strategy.ts';
import { parseConfig } from '../../host/config.ts';

const [day, hour] = [86_400, 3600];
const needs = (more: Partial<Needs> = {}): Needs => ({ bytes: 200e9, rpo: 300, rto: null, offsite: false, ...more });

const plan = (more: Partial<InitPlan> = {}): InitPlan => ({
  cluster: 'shop',
  host: 'db-7',
  configFile: '/etc/pgproof/pgproof.yaml',
  isKnown: false,
  look: { socket: '/run/postgresql', port: 5432, user: 'postgres', database: 'postgres' },
  password: null,
  connection: { socket: '/run/postgresql', port: 5432, user: 'pgproof', database: 'postgres' },
  repositories: [{ name: 'local', section: { type: 'file', path: '/backups' } }],
  keyFile: '/etc/pgproof/shop.key',
  cipher: 'aes-256-gcm',
  needs: {},
  secrets: [],
  old: null,
  ...more,
});

const local = plan().repositories[0];
const both: Partial<InitPlan> = {
  repositories: [local, { name: 'away', section: { type: 'file', path: '/mnt/away' } }],
};

describe('a strategy', () => {
  test.each([
    ['small', { bytes: 20e9, rpo: day }],
    ['middle', { bytes: 20e9, rpo: hour }],
    ['middle', { bytes: 200e9, rpo: day }],
    ['middle', { bytes: 1000e9 }],
    ['large', { bytes: 5e12 }],
    ['large', { bytes: 5e12, rpo: day }],
  ])('is %s for %j', (name, more) => {
    expect(chooseStrategy(needs(more)).name).toBe(name);
  });

  test('keeps every promise of its name: a backup a day for 7 days and WAL for 30, or a week of WAL to replay', () => {
    const middle = chooseStrategy(needs());
    expect(middle.retention.value).toEqual({ window: '7d', wal: '30d' });
    expect(middle.dumpRetention.value).toEqual({ weekly: { weekly: 12 } });
    expect(middle.schedules.dump?.value).toMatchObject({ run: 'dump', with: { tier: 'weekly' } });
    expect(middle.schedules.dump?.value.calendar).toMatchObject({ weekdays: 'sunday' });
    expect(middle.schedules.base?.value).toMatchObject({ run: 'backup', calendar: { at: '02:00' } });
    const large = chooseStrategy(needs({ bytes: 5e12 }));
    expect(large.schedules.base?.value.calendar).toEqual({ at: '02:00', weekdays: 'sunday' });
    expect(large.retention.value).toEqual({ window: '7d', wal: '14d' });
  });

  test('of a small cluster has a dump a day, kept 7 days, and of each of 12 weeks one', () => {
    const small = chooseStrategy(needs({ bytes: 20e9, rpo: day }));
    expect(small.schedules.dump?.value).toEqual({ run: 'dump', calendar: { at: '01:00' }, with: { tier: 'daily' } });
    expect(small.dumpRetention.value).toEqual({ daily: { last: 7, weekly: 12 } });
    expect(small.why).toMatch(/a backup a day, WAL between them, a dump a day\.$/);
  });

  test('goes on with what the crontabs of old scripts ran', () => {
    const labelled = chooseStrategy(needs({ scripts: ['labelled'] }));
    expect(labelled.schedules).toMatchObject({
      full: { value: { run: 'dump', cron: '0 2 * * 0', with: { tier: 'full' } } },
      incremental: { value: { run: 'dump', cron: '0 3 * * *', with: { tier: 'incremental' } } },
    });
    expect(Object.keys(labelled.dumpRetention.value)).toEqual(['full', 'incremental']);
    const physical = chooseStrategy(needs({ scripts: ['physical'] }));
    expect(physical.schedules.base?.value.calendar).toEqual({ at: '02:00', weekdays: 'sunday' });
    expect(physical.why).toContain('a base backup a week, WAL all the time, a dump a week');
    const offsite = (...scripts: OldScript[]) =>
      chooseStrategy(needs({ offsite: true, scripts })).schedules.offsite?.value.calendar;
    expect(offsite('physical', 'labelled')).toEqual({ at: '04:00', days: 1 });
    expect(offsite('physical', 'files')).toEqual({ at: '04:00' });
    const files = chooseStrategy(needs({ scripts: ['files'] }));
    expect(files.schedules.dump?.value).toEqual({ run: 'dump', cron: '0 2 * * *', with: { tier: 'daily' } });
  });

  test('of a large cluster takes a backup a day where a week of replay would break the RTO', () => {
    const hurried = chooseStrategy(needs({ bytes: 5e12, rto: 4 * hour }));
    expect(hurried.schedules.base?.value.calendar).toEqual({ at: '02:00' });
    expect(hurried.why).toContain('a base backup a day, ');
    expect(chooseStrategy(needs({ bytes: 5e12 })).why).toContain('a base backup a week, ');
    expect(hurried.notes[0]).toContain('takes about 13 h 53 min at 100 MB a second, and the RTO is 4h');
  });

  test('copies where there is a second repository, and says that one is missing where there is none', () => {
    expect(chooseStrategy(needs({ offsite: true })).schedules.offsite?.value.run).toBe('copy');
    expect(chooseStrategy(needs()).schedules).not.toHaveProperty('offsite');
    expect(chooseStrategy(needs()).notes.at(-1)).toContain('There is one repository');
  });
});

describe('the configuration', () => {
  const sizes = [1e6, 20e9, 100e9, 101e9, 1000e9, 1001e9, 40e12];
  const cases = sizes.flatMap((bytes) =>
    [1, 30, 300, 90_000, 7 * day].flatMap((rpo) =>
      [null, 60, 4 * hour, 2 * day].flatMap((rto) =>
        [true, false].map((offsite) => needs({ bytes, rpo, rto, offsite })),
      ),
    ),
  );

  test(`of every strategy is read back as it was meant (${cases.length} cases)`, () => {
    for (const each of cases) {
      const text = configText(plan(each.offsite ? both : {}), chooseStrategy(each), 'Asia/Shanghai');
      const config = parseConfig('/pgproof.yaml', text);
      const { timezone, clusters } = config;
      expect(timezone).toBe('Asia/Shanghai');
      expect(clusters.shop?.objectives).toMatchObject({
        rpo: each.rpo,
        ...(each.rto === null ? {} : { rto: each.rto }),
      });
      const runs = Object.values(clusters.shop?.schedules ?? {}).map(({ run }) => run);
      expect(runs).toEqual([
        ...['backup', 'dump', 'walSync'],
        ...(each.offsite ? ['copy'] : []),
        ...['expire', 'verify', 'drill'],
        ...(each.bytes > 1000e9 ? [] : ['drill']), // of a dump
      ]);
      expect(Object.keys(clusters.shop?.retention.dumps ?? {})).toHaveLength(1);
      expect(wantedSchedules(config).map(({ operation }) => operation)).toEqual(runs); // what `schedules apply` makes of it
    }
  });

  test('says of each section what it is for', () => {
    const text = configText(plan(), chooseStrategy(needs()), 'UTC');
    expect(text).toContain('# The strategy is middle, for 200 GB, RPO 5m, RTO not given');
    for (const section of [
      'timezone',
      'objectives',
      'retention',
      'dumps',
      'schedules',
      'base',
      'dump',
      'wal',
      'expire',
      'verify',
      'drill',
    ])
      expect(text, section).toMatch(new RegExp(`# .+\\n\\s*${section}:`));
  });
});
