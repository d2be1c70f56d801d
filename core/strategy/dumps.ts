import type { OldScript, Strategy } from './strategy.ts';

type Chosen = {
  /** For the sentence that tells the strategy. */
  story: string;
  schedules: Strategy['schedules'];
  retention: Strategy['dumpRetention'];
};

/** A small cluster has a dump a night, every other one a dump a week; where old scripts made dumps, as their crontab had it. */
export function chooseDumps(name: Strategy['name'], scripts: readonly OldScript[]): Chosen {
  if (scripts.includes('labelled')) return labelled;
  if (scripts.includes('files')) return { ...nightly, schedules: { dump: files } };
  return name === 'small' ? nightly : weekly;
}

const nightly: Chosen = {
  story: 'a dump a day',
  schedules: {
    dump: {
      value: { run: 'dump', calendar: { at: '01:00' }, with: { tier: 'daily' } },
      why: 'A dump of each database, every night at 01:00.',
    },
  },
  retention: {
    value: { daily: { last: 7, weekly: 12 } },
    why: 'The last 7 dumps of each database, and the newest of each of 12 weeks.',
  },
};

const weekly: Chosen = {
  story: 'a dump a week',
  schedules: {
    dump: {
      value: { run: 'dump', calendar: { at: '01:00', weekdays: 'sunday' }, with: { tier: 'weekly' } },
      why: 'A dump of each database, on Sundays at 01:00.',
    },
  },
  retention: { value: { weekly: { weekly: 12 } }, why: 'Of each database the newest dump of each of 12 weeks.' },
};

/** `backup.sh full` and `backup.sh incremental`, which is a whole dump under another label. */
const labelled: Chosen = {
  story: 'a dump a day and another one a week',
  schedules: {
    full: {
      value: { run: 'dump', cron: '0 2 * * 0', with: { tier: 'full' } },
      why: 'On Sundays at 02:00, as the old crontab had it.',
    },
    incremental: {
      value: { run: 'dump', cron: '0 3 * * *', with: { tier: 'incremental' } },
      why: 'Every night at 03:00, as the old crontab had it: whole dumps, as they always were.',
    },
  },
  retention: {
    value: { full: { weekly: 12 }, incremental: { last: 7 } },
    why: 'Of each database the newest full dump of each of 12 weeks, and the last 7 incremental ones.',
  },
};

const files: Strategy['schedules'][string] = {
  value: { run: 'dump', cron: '0 2 * * *', with: { tier: 'daily' } },
  why: 'A dump of each database, every night at 02:00, as the old crontab had it.',
};
