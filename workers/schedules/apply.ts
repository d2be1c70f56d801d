import {
  type Client,
  ScheduleAlreadyRunning,
  type ScheduleDescription,
  ScheduleNotFoundError,
  type ScheduleOptions,
  type ScheduleSpec,
} from '@temporalio/client';
import { PgproofError } from '../../core/errors.ts';
import { inParallel } from '../../core/parallel.ts';
import { type Calendar, type calendarFields, every, months, weekdays } from '../../core/schedule/calendar.ts';
import type { WantedSchedule } from '../../core/schedule/wanted.ts';
import { attributePairs } from './attributes.ts';
import { patiently, width } from './calls.ts';
import type { ScheduleChange, SchedulePlan } from './plan.ts';
import { overlapPolicies } from './terms.ts';

/**
 * Makes Temporal as the configuration is: what is missing or differs first, what is too much last. Runs that are under way
 * go on, pauses stay. May be run again after any failure.
 * @throws {PgproofError} `schedules-unconfirmed`, before anything is touched, when more than a third of what is there would
 * be deleted and nobody `confirmed` it; `temporal-unreachable`.
 */
export async function applySchedules(
  client: Client,
  plan: SchedulePlan,
  { confirmed, signal }: { confirmed: boolean; signal: AbortSignal },
): Promise<void> {
  const deletions = plan.changes.filter(({ kind }) => kind === 'delete');
  if (!confirmed && deletions.length * 3 > plan.existing) throw unconfirmed(plan, deletions);
  const others = plan.changes.filter(({ kind }) => kind !== 'delete');
  for (const changes of [others, deletions])
    await inParallel(changes, { width, signal }, (change) => patiently(client, signal, () => make(client, change)));
}

async function make(client: Client, change: ScheduleChange): Promise<void> {
  const handle = client.schedule.getHandle(change.id);
  if (change.kind === 'delete') return handle.delete().catch(unlessGone);
  if (change.kind === 'create') {
    const made = await client.schedule.create(optionsOf(change.wanted)).catch(unlessThere);
    if (made !== undefined) return;
  }
  await handle.update((previous) => ({ ...optionsOf(change.wanted), state: pauseOf(previous) }));
}

/** The try before this one may have done it, and its answer was lost. */
function unlessGone(error: unknown): void {
  if (!(error instanceof ScheduleNotFoundError)) throw error;
}

/** The same, or somebody else applies, too. */
function unlessThere(error: unknown): undefined {
  if (!(error instanceof ScheduleAlreadyRunning)) throw error;
}

const pauseOf = ({ state: { paused, note } }: ScheduleDescription) => ({ paused, note });

function optionsOf(wanted: WantedSchedule): ScheduleOptions & { action: { args: unknown[] } } {
  return {
    scheduleId: wanted.id,
    spec: { ...momentsOf(wanted), timezone: wanted.timezone, jitter: wanted.jitter * 1000 },
    policies: {
      overlap: overlapPolicies[wanted.overlap],
      catchupWindow: wanted.catchup * 1000,
      pauseOnFailure: false,
    },
    action: {
      type: 'startWorkflow',
      workflowType: wanted.workflowType,
      workflowId: wanted.id, // Temporal adds the time of the run
      taskQueue: wanted.taskQueue,
      args: [{ ...wanted.request, fingerprint: wanted.fingerprint }],
      typedSearchAttributes: attributePairs(wanted),
      staticSummary: `${wanted.operation} of ${wanted.cluster} by its schedule ${wanted.name}`,
    },
  };
}

function momentsOf({ when }: WantedSchedule): Pick<ScheduleSpec, 'calendars' | 'intervals'> {
  if ('calendars' in when) return { calendars: when.calendars.map(calendarSpec) };
  return { intervals: [{ every: when.everySeconds * 1000, offset: when.offsetSeconds * 1000 }] };
}

function calendarSpec(calendar: Calendar): NonNullable<ScheduleSpec['calendars']>[number] {
  const all = (field: (typeof calendarFields)[number]): boolean => calendar[field].length === every[field].length;
  const upper = <T extends string>(names: readonly T[]) => names.map((name) => name.toUpperCase() as Uppercase<T>);
  return {
    minute: all('minutes') ? '*' : [...calendar.minutes],
    hour: all('hours') ? '*' : [...calendar.hours],
    dayOfMonth: all('days') ? '*' : [...calendar.days],
    month: all('months') ? '*' : upper(calendar.months.map((month) => months[month - 1] as (typeof months)[number])),
    dayOfWeek: all('weekdays')
      ? '*'
      : upper(calendar.weekdays.map((day) => weekdays[day] as (typeof weekdays)[number])),
  };
}

function unconfirmed({ fleet, existing }: SchedulePlan, deletions: readonly ScheduleChange[]): PgproofError {
  return new PgproofError(
    'schedules-unconfirmed',
    `${deletions.length} of the ${existing} schedules of fleet '${fleet}' would be deleted; nothing was changed`,
    {
      facts: { fleet, existing, deletions: deletions.length, first: deletions.slice(0, 20).map(({ id }) => id) },
      hint: 'Is this the whole configuration, and the right fleet? If so, say --yes.',
    },
  );
}
