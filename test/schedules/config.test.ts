import { describe, expect, test } from 'vitest';
import { configSchema } from '../../core/config.ts';
import { clockNotes } from '../../core/schedule/clocks.ts';
import { nextRuns } from '../../core/schedule/next.ts';
import { type WantedSchedule, wantedSchedules } from '../../core/schedule/wanted.ts';
import { whenText } from '../../core/schedule/when.ts';
import { parseConfig } from '../../host/config.ts';
import { fleetOf } from './support.ts';

const wantedOf = (schedules: Record<string, unknown>, more: Record<string, unknown> = {}): WantedSchedule[] =>
  wantedSchedules(configSchema.parse(fleetOf({ shop: schedules }, more)));
const only = (schedule: Record<string, unknown>, more: Record<string, unknown> = {}): WantedSchedule =>
  wantedOf({ it: { run: 'backup', ...schedule } }, more)[0] as WantedSchedule;
const problemOf = (schedule: Record<string, unknown>): string => {
  try {
    parseConfig('it.yaml', JSON.stringify(fleetOf({ shop: { it: { run: 'backup', ...schedule } } })));
  } catch (error) {
    return (error as Error).message;
  }
  return 'nothing';
};

describe('cron text and calendars', () => {
  test.each([
    ['0 2 * * 0', '0 2 * * 0'],
    ['0 2 * * sun', '0 2 * * 0'],
    ['0 2 * * 7', '0 2 * * 0'],
    ['*/20 1-3,5 * JAN-mar *', '0,20,40 1-3,5 * 1-3 *'],
    ['  30   2  1  *  * ', '30 2 1 * *'],
    ['0 0 * * 1-7', '0 0 * * *'],
    ['0-30/10 4 * * *', '0,10,20,30 4 * * *'],
  ])("'%s' means %s", (cron, meant) => {
    expect(whenText(only({ cron }).when)).toBe(meant);
  });

  test.each([
    ['0/15 * * * *', "'0/15' is no list of values"],
    ['0 2 1 * 0', 'a day of the month and a weekday together'],
    ['61 2 * * *', '61 is outside'],
    ['5x * * * *', "'5x' is no list"],
    ['0 2 * * xyz', 'xyz is neither a number nor a name'],
    ['0 2 L * *', "'L' is no list"],
    ['*/0 * * * *', 'greater than 0'],
    ['5-2 * * * *', 'Invalid range'],
    ['0 0 2 * * *', 'five fields'],
    ['@daily', 'five fields'],
    ['0 0 30 2 *', 'there is no such date'],
  ])("'%s' is refused when the file is read", (cron, why) => {
    expect(problemOf({ cron })).toContain(why);
    expect(problemOf({ cron })).not.toMatch(/; expected|Failed to parse/); // a sentence
  });

  test('a calendar means the times it names, and no other hour of one at the minute of another', () => {
    const { when } = only({ calendar: { at: ['02:00', '14:30', '15:30'], weekdays: ['sunday'], days: [1, 2, 3] } });
    expect(whenText(when)).toBe('0 2 1-3 * 0; 30 14,15 1-3 * 0');
  });

  test.each([
    [{}, 'give one of cron, calendar and every'],
    [{ cron: '0 2 * * *', every: '1h' }, 'give one of cron, calendar and every'],
    [{ every: '1h', jitter: '5m' }, 'jitter: belongs to cron and calendar'],
    [{ every: '30s' }, 'at least 1m'],
    [{ cron: '0 2 * * *', timezone: 'europe/berlin' }, "has 'europe/berlin'; expected a name of the IANA database"],
    [{ cron: '0 2 * * *', timezone: '+08:00' }, 'a name of the IANA database'],
    [{ calendar: { at: '25:00' } }, 'a time such as 02:00'],
    [{ run: 'restore', every: '1d' }, "has 'restore'; expected backup, dump, walSync"],
    [{ run: 'verify', every: '1d', with: { shar: 5 } }, 'with.shar: verify takes no such setting'],
    [{ run: 'verify', every: '1d', with: { share: 500 } }, 'with.share'],
    [{ run: 'expire', every: '1d', with: { confirmed: true } }, 'with.confirmed: expire takes no such setting'],
    [{ run: 'backup', every: '1d', with: { cluster: 'other' } }, 'with.cluster: backup takes no such setting'],
    [{ run: 'copy', every: '1d' }, 'copy needs a second repository'],
    [{ run: 'dump', every: '1d', with: { databases: [] } }, 'with.databases'],
    [{ run: 'dump', every: '1d', with: { databases: 'shop' } }, 'with.databases'],
    [{ run: 'dump', every: '1d', with: { databases: ['x'.repeat(64)] } }, 'with.databases'],
    [{ run: 'dump', every: '1d', with: { tier: 'Every Day' } }, 'with.tier'],
    [{ run: 'verify', every: '1d', with: { share: ['5'] } }, 'with.share'],
    [{ run: 'verify', every: '1d', with: { repository: 'far' } }, "'far' is none of the cluster's repositories"],
  ])('%j is refused with the reason', (schedule, why) => {
    expect(problemOf(schedule)).toContain(why);
  });
});

describe('what Temporal should have', () => {
  test('is the same for the same configuration, in whatever order and form it is written', () => {
    const one = wantedOf({
      a: { run: 'backup', cron: '0 2 * * 0' },
      b: { run: 'verify', every: '15m', with: { share: 5, restore: true } },
    });
    const other = wantedOf({
      b: { with: { restore: true, share: 5 }, every: '900s', run: 'verify' },
      a: { cron: '0 2 * * sun', run: 'backup' },
    });
    expect(other.toReversed()).toEqual(one);
    // Fingerprints are kept in Temporal: another way to make them writes every schedule of every fleet anew.
    expect(one.map(({ fingerprint }) => fingerprint)).toEqual([
      'c5ee7049-2f6f-5a8c-b472-f7e6611370e8',
      'b0742085-33d7-596e-9ff9-9dabb613719f',
    ]);
  });

  test.each([
    ['when', { cron: '0 3 * * *' }],
    ['timezone', { timezone: 'Asia/Shanghai' }],
    ['jitter', { jitter: '1m' }],
    ['overlap', { overlap: 'wait' }],
    ['catchup', { catchup: '1m' }],
    ['operation', { run: 'drill' }],
    ['request', { with: { reason: 'as agreed' } }],
  ])('has another fingerprint with another %s', (_what, change) => {
    expect(only({ cron: '0 2 * * *', ...change }).fingerprint).not.toBe(only({ cron: '0 2 * * *' }).fingerprint);
  });

  test('names cluster and who asks in each request, and never holds a secret', () => {
    const [verify] = wantedOf({ sample: { run: 'verify', cron: '0 6 * * 6', with: { share: 5 } } });
    expect(verify).toMatchObject({
      id: 'pgproof/main/shop/sample',
      workflowType: 'verify',
      taskQueue: 'pgproof-main',
      request: { cluster: 'shop', share: 5, requestedBy: 'schedule pgproof/main/shop/sample' },
    });
  });

  test('asks for lists as they are written: databases, tables', () => {
    const asked = { tier: 'hourly', databases: ['shop', "it's one"], excludeTables: ['audit.*'] };
    const [dump] = wantedOf({ dumps: { run: 'dump', every: '1h', with: asked } });
    expect(dump).toMatchObject({ workflowType: 'dump', request: { cluster: 'shop', ...asked } });
  });

  test('spreads intervals over a fleet, each schedule always at its own moment', () => {
    const clusters = Object.fromEntries(
      Array.from({ length: 200 }, (_, n) => [`c${n}`, { wal: { run: 'walSync', every: '15m' } }]),
    );
    const wanted = wantedSchedules(configSchema.parse(fleetOf(clusters)));
    const offsets = wanted.map(({ when }) => ('everySeconds' in when ? when.offsetSeconds : -1));
    const thirds = [0, 300, 600].map((from) => offsets.filter((at) => at >= from && at < from + 300).length);
    for (const third of thirds) expect(third).toBeGreaterThan(40);
    expect(wantedSchedules(configSchema.parse(fleetOf(clusters)))).toEqual(wanted);
  });
});

describe('scenario 43: daylight saving', () => {
  const next = (schedule: Record<string, unknown>, after: string, count = 2): string[] => {
    const { when, timezone } = only({ timezone: 'Europe/Berlin', ...schedule });
    return nextRuns(when, timezone, new Date(after), count).map((at) => at.toISOString().slice(0, 16));
  };

  test('a time in the hour that the clocks skip has no run that day', () => {
    expect(next({ cron: '30 2 * * *' }, '2027-03-27T12:00:00Z')).toEqual(['2027-03-29T00:30', '2027-03-30T00:30']);
  });

  test('a time in the hour that comes twice has one', () => {
    expect(next({ cron: '30 2 * * *' }, '2026-10-24T12:00:00Z')).toEqual(['2026-10-25T01:30', '2026-10-26T01:30']);
  });

  test('such a run is said beforehand, with day, hours and schedule, once for all that have it', () => {
    const schedules = {
      base: { run: 'backup', cron: '30 2 * * *' },
      late: { run: 'backup', cron: '0 4 * * *' },
      hourly: { run: 'walSync', cron: '15 * * * *' },
      even: { run: 'walSync', every: '6h' },
      monday: { run: 'backup', cron: '30 2 * * 1' },
      far: { run: 'backup', cron: '30 2 * * *', timezone: 'Asia/Shanghai' },
    };
    const wanted = wantedOf(schedules, { timezone: 'Europe/Berlin' });
    expect(clockNotes(wanted, new Date('2026-11-21T00:00:00Z'))).toEqual([
      '2027-03-28 has no time from 02:00 to 03:00 in Europe/Berlin: shop/base (02:30) will not run then',
    ]);
    expect(clockNotes(wantedOf(schedules), new Date('2026-11-21T00:00:00Z'))).toEqual([]);
  });

  test('29 February is found, and intervals know no clocks', () => {
    expect(next({ cron: '0 0 29 2 *' }, '2028-03-01T00:00:00Z', 1)).toEqual(['2032-02-28T23:00']);
    const { when } = only({ every: '6h' });
    const runs = nextRuns(when, 'UTC', new Date('2027-03-27T12:00:00Z'), 9).map((at) => at.getTime());
    expect(new Set(runs.slice(1).map((at, index) => at - (runs[index] as number)))).toEqual(new Set([6 * 3_600_000]));
  });
});
