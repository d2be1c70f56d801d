import { type Config, configSchema } from '../core/config.ts';
import { nextRuns } from '../core/schedule/next.ts';
import { type WantedSchedule, wantedSchedules } from '../core/schedule/wanted.ts';
import { chooseStrategy } from '../core/strategy/choose.ts';

const day = 86_400;

/** What `init` proposes for 200 GB, an RPO of five minutes and a second repository. */
const { schedules, retention } = chooseStrategy({ bytes: 200e9, rpo: 300, rto: null, offsite: true });

/** How long steps of such a cluster take, in seconds; all others are quick. */
export const stepSeconds: Readonly<Record<string, number>> = {
  copyBase: 1800,
  takeDump: 1800,
  awaitWal: 30,
  copyOffsite: 900,
  runVerify: 600,
  runDrill: 3600,
  runExpire: 30,
};

/** So many clusters, each on a host of its own, all with the same schedules. */
export function fleetConfig(clusters: number): Config {
  const numbers = Array.from({ length: clusters }, (_, index) => String(index + 1).padStart(4, '0'));
  const cluster = {
    connection: { socket: '/no/such/socket' },
    repositories: ['local', 'offsite'],
    retention: retention.value,
    schedules: Object.fromEntries(Object.entries(schedules).map(([name, { value }]) => [name, value])),
  };
  return configSchema.parse({
    fleet: 'bench',
    hosts: Object.fromEntries(numbers.map((number) => [`db-${number}`, {}])),
    repositories: {
      local: { type: 'file', path: '/no/such/repository' },
      offsite: { type: 'file', path: '/no/such/offsite' },
    },
    clusters: Object.fromEntries(numbers.map((number) => [`shop-${number}`, { ...cluster, host: `db-${number}` }])),
  });
}

/** Runs of one cluster in a day, by operation. */
export function runsADay(config: Config): Record<string, number> {
  const [first] = Object.keys(config.clusters);
  const ofOne = wantedSchedules(config).filter(({ cluster }) => cluster === first);
  const runs: Record<string, number> = {};
  for (const wanted of ofOne) runs[wanted.operation] = (runs[wanted.operation] ?? 0) + day / periodOf(wanted);
  return runs;
}

/** The same schedules as if the day had a factor less of seconds, their runs spread evenly. */
export function compressed(wanted: readonly WantedSchedule[], factor: number): WantedSchedule[] {
  return wanted.map((schedule, index) => {
    const everySeconds = Math.max(1, Math.round(periodOf(schedule) / factor));
    const when = { everySeconds, offsetSeconds: (index * 7919) % everySeconds };
    return { ...schedule, when, jitter: 0, fingerprint: `${schedule.fingerprint}/${factor}` };
  });
}

/** Seconds between two runs, on average of a year. */
function periodOf({ when, timezone }: WantedSchedule): number {
  if ('everySeconds' in when) return when.everySeconds;
  const year = new Date('2026-01-01T00:00:00Z');
  const runs = nextRuns(when, timezone, year, 12).map((at) => at.getTime() / 1000);
  return ((runs.at(-1) as number) - (runs[0] as number)) / (runs.length - 1);
}
