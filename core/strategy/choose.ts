import { durationText } from '../duration.ts';
import { formatBytes, formatSeconds } from '../format.ts';
import { chooseDumps } from './dumps.ts';
import type { Needs, OldScript, Strategy } from './strategy.ts';

const day = 86_400;
const gigabyte = 1e9;
/** Up to here a dump a day is done within minutes, and a backup a day costs little. */
const smallBytes = 100 * gigabyte;
/** From here on a full backup is no work for every night. */
const largeBytes = 1000 * gigabyte;
/** Bytes a second that a restore is reckoned with until a drill has measured it. */
const restoreRate = 100e6;

/** The three strategies: small (a backup and a dump a day), middle (base backups and WAL), large (continuous WAL and PITR). */
export function chooseStrategy(needs: Needs): Strategy {
  const name = sizeOf(needs);
  const weekly = name === 'large' || needs.scripts?.includes('physical') === true;
  const often = !weekly || isHurried(needs);
  const dumps = chooseDumps(name, needs.scripts ?? []);
  return {
    name,
    why: `${name}, for ${formatBytes(needs.bytes)}, RPO ${durationText(needs.rpo)}, RTO ${needs.rto === null ? 'not given' : durationText(needs.rto)}: ${storyOf(name, often)}, ${dumps.story}.`,
    objectives: {
      value: { rpo: durationText(needs.rpo), ...(needs.rto === null ? {} : { rto: durationText(needs.rto) }) },
      why: 'What the backups have to make possible. Checks, drills and alarms measure against it.',
    },
    retention: retentions[name],
    dumpRetention: dumps.retention,
    schedules: { base: baseSchedule(name, often), ...dumps.schedules, ...common(name, needs) },
    notes: notesOn(name, needs),
  };
}

function storyOf(name: Strategy['name'], often: boolean): string {
  const period = often ? 'day' : 'week';
  if (name === 'small') return `a backup a ${period}, WAL between them`;
  if (name === 'middle') return `a base backup a ${period}, WAL all the time`;
  return `a base backup a ${period}, WAL all the time, any second by replay`;
}

function sizeOf({ bytes, rpo }: Needs): Strategy['name'] {
  if (bytes > largeBytes) return 'large';
  return bytes <= smallBytes && rpo >= day ? 'small' : 'middle';
}

/** A week of WAL takes hours to replay: who has less time needs younger backups. */
const isHurried = ({ rto }: Needs): boolean => rto !== null && rto < day / 2;

const retentions: Record<Strategy['name'], Strategy['retention']> = {
  small: {
    value: { window: '7d', weekly: 12 },
    why: 'Every second of the last 7 days, and the newest backup of each of 12 weeks.',
  },
  middle: {
    value: { window: '7d', wal: '30d' },
    why: 'The backups of the last 7 days, and WAL for every second of the last 30.',
  },
  large: {
    value: { window: '7d', wal: '14d' },
    why: 'The backups of the last 7 days, and WAL for every second of the last 14.',
  },
};

function baseSchedule(name: Strategy['name'], often: boolean): Strategy['schedules'][string] {
  if (often) {
    const at = name === 'small' ? '03:00' : '02:00';
    return { value: { run: 'backup', calendar: { at } }, why: `Every night at ${at}.` };
  }
  return { value: { run: 'backup', calendar: { at: '02:00', weekdays: 'sunday' } }, why: 'On Sundays at 02:00.' };
}

function common(name: Strategy['name'], { rpo, offsite, scripts = [] }: Needs): Strategy['schedules'] {
  const share = { small: 100, middle: 10, large: 5 }[name];
  return {
    wal: {
      value: { run: 'walSync', every: rpo < day ? '15m' : '1h' },
      why: 'WAL is shipped all the time; this makes sure of it, and alarms when it is late.',
    },
    ...(offsite ? { offsite: copySchedule(scripts) } : {}),
    expire: { value: { run: 'expire', calendar: { at: '05:00' } }, why: 'Deletes what retention does not keep.' },
    verify: {
      value: { run: 'verify', calendar: { at: '06:00', weekdays: 'saturday' }, with: { share } },
      why: share === 100 ? 'Reads everything back.' : `Reads ${share} percent back, other ones each time.`,
    },
    drill: {
      value: {
        run: 'drill',
        calendar: { at: '08:00', ...(name === 'large' ? { days: 1 } : { weekdays: 'saturday' as const }) },
      },
      why: `The proof: a restore that is asked questions, every ${name === 'large' ? 'month' : 'week'}.`,
    },
    ...(name === 'large'
      ? {}
      : {
          'drill-dump': {
            value: {
              run: 'drill',
              calendar: { at: '10:00', weekdays: 'sunday' as const, days: [1, 2, 3, 4, 5, 6, 7] },
              with: { kind: 'dump' },
            },
            why: 'The same of the newest dump, every first Sunday of a month.',
          },
        }),
  };
}

/** The scripts of base backups went off-site once a month, those that wrote to a bucket with every run. */
function copySchedule(scripts: readonly OldScript[]): Strategy['schedules'][string] {
  if (scripts.includes('physical') && !scripts.includes('files'))
    return {
      value: { run: 'copy', calendar: { at: '04:00', days: 1 } },
      why: 'On the first of each month at 04:00, as before: what expires until then never gets there. Without `days` it is each night, and costs little: only what is new is copied.',
    };
  return { value: { run: 'copy', calendar: { at: '04:00' } }, why: 'To the other repositories; only what is new.' };
}

function notesOn(name: Strategy['name'], { bytes, rpo, rto, offsite }: Needs): string[] {
  const restore = bytes / restoreRate;
  return [
    ...(rto !== null && restore > rto
      ? [
          `A restore of ${formatBytes(bytes)} takes about ${formatSeconds(restore)} at ${formatBytes(restoreRate)} a second, and the RTO is ${durationText(rto)}: only a standby answers as soon as that. Drills measure what it really takes.`,
        ]
      : []),
    ...(rpo < 60
      ? [
          `An RPO of ${durationText(rpo)} makes PostgreSQL end a WAL segment every few seconds; look at what that costs in the store.`,
        ]
      : []),
    ...(name === 'large'
      ? [
          `A dump of ${formatBytes(bytes)} takes hours, and vacuum removes nothing that died meanwhile; no drill of one is scheduled. Name the databases that need one under dumps.databases, or remove the schedule.`,
        ]
      : []),
    ...(offsite
      ? []
      : [
          'There is one repository. Backups that a fire or a thief takes together with the server are none: add a second one elsewhere, and a schedule that runs copy.',
        ]),
  ];
}
