import type { CalendarSpecDescription, ScheduleDescription } from '@temporalio/client';
import canonicalize from 'canonicalize';
import { durationText } from '../../core/duration.ts';
import { type Calendar, calendarText, months, sorted, weekdays } from '../../core/schedule/calendar.ts';
import type { WantedSchedule } from '../../core/schedule/wanted.ts';
import { whenText } from '../../core/schedule/when.ts';
import { foundAttributes, wantedAttributes } from './attributes.ts';

/** All that a schedule is, in one text a field, so that two can be compared and the difference be read. */
export type Terms = Record<(typeof fields)[number], string>;

export const fields = [
  ...(['when', 'timezone', 'jitter', 'overlap', 'catchup', 'limits'] as const),
  ...(['workflow', 'queue', 'request', 'attributes'] as const),
] as const;

export function wantedTerms(wanted: WantedSchedule): Terms {
  return {
    when: whenText(wanted.when),
    timezone: wanted.timezone,
    jitter: durationText(wanted.jitter),
    overlap: wanted.overlap,
    catchup: durationText(wanted.catchup),
    limits: 'none',
    workflow: `${wanted.workflowType} ${wanted.id}`,
    queue: wanted.taskQueue,
    request: requestText([wanted.request]),
    attributes: wantedAttributes(wanted),
  };
}

/** The server has made calendars of everything, and what a person changed in the UI is among it. */
export function foundTerms({ spec, policies, action, state }: ScheduleDescription): Terms {
  const intervals = (spec.intervals ?? []).map(({ every, offset }) =>
    whenText({ everySeconds: seconds(every), offsetSeconds: seconds(offset) }),
  );
  return {
    when: [...(spec.calendars ?? []).map(foundCalendar), ...intervals].sort().join('; '),
    timezone: spec.timezone || 'UTC',
    jitter: durationText(seconds(spec.jitter)),
    overlap: overlapWords[policies.overlap as string] ?? String(policies.overlap),
    catchup: durationText(seconds(policies.catchupWindow)),
    limits: limitsOf({ spec, policies, state }),
    workflow: `${action.workflowType} ${action.workflowId}`,
    queue: action.taskQueue,
    request: requestText((action.args ?? []) as unknown[]),
    attributes: foundAttributes(action.typedSearchAttributes),
  };
}

/** The configuration that a schedule was last written by; undefined where somebody else wrote it. */
export function fingerprintOf({ action }: ScheduleDescription): string | undefined {
  const [request] = (action.args ?? []) as { fingerprint?: unknown }[];
  return typeof request?.fingerprint === 'string' ? request.fingerprint : undefined;
}

export const overlapPolicies = { skip: 'SKIP', wait: 'BUFFER_ONE' } as const;
const overlapWords: Record<string, string> = { SKIP: 'skip', BUFFER_ONE: 'wait' };

const seconds = (milliseconds: unknown): number => Number(milliseconds ?? 0) / 1000;

function foundCalendar(found: CalendarSpecDescription): string {
  const calendar: Calendar = {
    minutes: valuesOf(found.minute, Number),
    hours: valuesOf(found.hour, Number),
    days: valuesOf(found.dayOfMonth, Number),
    months: valuesOf(found.month, (name) => months.indexOf(name.toLowerCase() as never) + 1),
    weekdays: valuesOf(found.dayOfWeek, (name) => weekdays.indexOf(name.toLowerCase() as never)),
  };
  const second = valuesOf(found.second, Number).join(',');
  const years = valuesOf(found.year, Number).join(',');
  return `${calendarText(calendar)}${second === '0' ? '' : ` at second ${second}`}${years === '' ? '' : ` in ${years}`}`;
}

type Ranges<Unit> = readonly { start: Unit; end: Unit; step: number }[];

function valuesOf<Unit>(ranges: Ranges<Unit>, numberOf: (unit: Unit) => number): number[] {
  return sorted(
    ranges.flatMap(({ start, end, step }) => {
      const [first, last] = [numberOf(start), numberOf(end)];
      return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, index) => first + index * step);
    }),
  );
}

/** What would keep a schedule from running for ever. A pause is a person's, and no difference. */
function limitsOf({ spec, policies, state }: Pick<ScheduleDescription, 'spec' | 'policies' | 'state'>): string {
  const limits = [
    ...(spec.startAt === undefined ? [] : [`from ${spec.startAt.toISOString()}`]),
    ...(spec.endAt === undefined ? [] : [`until ${spec.endAt.toISOString()}`]),
    ...(spec.skip ?? []).map((skipped) => `not ${foundCalendar(skipped)}`),
    ...(state.remainingActions === undefined ? [] : [`${state.remainingActions} more runs`]),
    ...(policies.pauseOnFailure ? ['pause on failure'] : []),
  ];
  return limits.length === 0 ? 'none' : limits.join(', ');
}

function requestText(args: readonly unknown[]): string {
  const [first, ...more] = args;
  if (typeof first !== 'object' || first === null) return canonicalize(args) ?? '';
  const { fingerprint: _, ...request } = first as Record<string, unknown>;
  return canonicalize(more.length === 0 ? request : [request, ...more]) ?? '';
}
