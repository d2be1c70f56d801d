import canonicalize from 'canonicalize';
import { v5 as uuidOf } from 'uuid';
import type { Config, ScheduleConfig } from '../config.ts';
import { controlQueue } from '../queues.ts';
import { workflowTypes } from '../request.ts';
import { type Kind, kinds, type ScheduledOperation } from './kinds.ts';
import { type When, whenText } from './when.ts';

/** A schedule as Temporal should have it. All seconds. */
export type WantedSchedule = {
  /** `pgproof/<fleet>/<cluster>/<name>`; the runs' workflow ids begin with it. */
  id: string;
  cluster: string;
  name: string;
  operation: ScheduledOperation;
  when: When;
  timezone: string;
  jitter: number;
  overlap: Kind['overlap'];
  catchup: number;
  workflowType: string;
  taskQueue: string;
  /** Where the runs' steps are done; null where it is decided at run time. */
  host: string | null;
  /** What each run is asked for. */
  request: Record<string, unknown>;
  /** Of all above. It travels in the request, so that a change by hand is told from one of the configuration. */
  fingerprint: string;
};

/** What all ids of a fleet's schedules begin with. */
export const schedulePrefix = (fleet: string): string => `pgproof/${fleet}/`;

/** Every schedule of the configuration, in its order. The same configuration gives the same ones, always and everywhere. */
export function wantedSchedules(config: Config): WantedSchedule[] {
  return Object.entries(config.clusters).flatMap(([cluster, { schedules }]) =>
    Object.entries(schedules).map(([name, schedule]) => wantedSchedule(config, cluster, name, schedule)),
  );
}

function wantedSchedule(config: Config, cluster: string, name: string, schedule: ScheduleConfig): WantedSchedule {
  const id = `${schedulePrefix(config.fleet)}${cluster}/${name}`;
  const kind = kinds[schedule.run];
  const when = whenOf(id, schedule);
  const wanted = {
    id,
    cluster,
    name,
    operation: schedule.run,
    when,
    timezone: schedule.timezone ?? config.timezone,
    jitter: 'everySeconds' in when ? 0 : (schedule.jitter ?? kind.jitter),
    overlap: schedule.overlap ?? kind.overlap,
    catchup: schedule.catchup ?? kind.catchup,
    workflowType: workflowTypes[schedule.run],
    taskQueue: controlQueue(config.fleet),
    host: onlyHostOf(config, cluster),
    request: { cluster, ...schedule.with, requestedBy: `schedule ${id}` },
  };
  return { ...wanted, fingerprint: idOf(canonicalize({ ...wanted, when: whenText(when) }) as string) };
}

function onlyHostOf({ clusters }: Config, cluster: string): string | null {
  const { host } = clusters[cluster] as Config['clusters'][string];
  return host.length === 1 ? (host[0] as string) : null;
}

function whenOf(id: string, { cron, calendar, every }: ScheduleConfig): When {
  return cron ?? calendar ?? { everySeconds: every as number, offsetSeconds: offsetOf(id, every as number) };
}

/** Intervals are spread over the fleet by when they begin: each schedule has its own moment, always the same. */
const offsetOf = (id: string, every: number): number => Number.parseInt(idOf(id).slice(0, 8), 16) % every;

/** Never changed: all schedules of all fleets would be written anew. */
const namespace = '9f4c8a52-3b1e-4c57-9a40-6f5d1f0f7c11';
const idOf = (text: string): string => uuidOf(text, namespace);
