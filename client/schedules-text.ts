import { nextRuns } from '../core/schedule/next.ts';
import type { WantedSchedule } from '../core/schedule/wanted.ts';
import { whenText } from '../core/schedule/when.ts';
import { countsText, differenceText, type ScheduleChange, type SchedulePlan } from '../workers/schedules/plan.ts';
import type { ScheduleStatus } from '../workers/schedules/status.ts';
import { table } from './text.ts';

type Shown = { done: boolean; notes: readonly string[]; now: Date };

/** The difference as a person reads it: what is missing, what differs and by whom, what is too much. */
export function renderPlan(plan: SchedulePlan, { done, notes, now }: Shown): string {
  const { changes, unchanged, paused } = plan;
  const lines = [
    ...changes.flatMap((change) => changeLines(change, now)),
    ...paused.map(({ cluster, name, note }) => `  ${cluster}/${name} stays paused${note === '' ? '' : ` (${note})`}`),
    ...notes.map((note) => `  note: ${note}`),
  ];
  return [summary(changes, unchanged, done), ...lines].join('\n');
}

/** The same for programs: the requests stand in Temporal, not here. */
export function planDocument({ fleet, changes, unchanged, paused }: SchedulePlan, now: Date) {
  return {
    fleet,
    unchanged,
    changes: changes.map(({ id, cluster, name, kind, ...more }) => ({
      id,
      cluster,
      name,
      kind,
      by: 'by' in more ? more.by : null,
      differences: 'differences' in more ? more.differences : [],
      next: 'wanted' in more ? upcoming(more.wanted, now) : [],
    })),
    paused,
  };
}

export function renderList(schedules: readonly ScheduleStatus[]): string {
  if (schedules.length === 0) return 'no schedules, neither in the configuration nor in Temporal';
  const rows = schedules.map((schedule) => [
    `${schedule.cluster}/${schedule.name}`,
    schedule.operation,
    `${schedule.when}${schedule.when.startsWith('every') ? '' : ` ${schedule.timezone}`}`,
    schedule.state,
    minuteText(schedule.next[0]),
    schedule.last === null ? 'never' : `${schedule.last.outcome} ${minuteText(schedule.last.at)}`,
    String(schedule.runs),
    String(schedule.missed),
    String(schedule.skipped),
  ]);
  const headings = ['SCHEDULE', 'OPERATION', 'WHEN', 'STATE', 'NEXT', 'LAST', 'RUNS', 'MISSED', 'SKIPPED'];
  const more = schedules.flatMap(({ cluster, name, note, drift, last }) => [
    ...(drift === null ? [] : [drift]),
    ...(note === null ? [] : [`${cluster}/${name}: ${note || 'paused'}`]),
    ...(last?.error == null ? [] : [`${cluster}/${name}: ${last.workflowId} failed: ${last.error}`]),
  ]);
  return [table(headings, rows), ...(more.length === 0 ? [] : ['', ...more])].join('\n');
}

function summary(changes: readonly ScheduleChange[], unchanged: number, done: boolean): string {
  if (changes.length === 0) return `nothing to do: ${unchanged} schedules are as the configuration has them`;
  const found = `${countsText(changes)}, ${unchanged} unchanged`;
  return done ? `applied: ${found}` : `${found}; nothing was changed (--dry-run)`;
}

function changeLines(change: ScheduleChange, now: Date): string[] {
  const place = `${change.cluster}/${change.name}`;
  if (change.kind === 'delete') return [`- ${place}`];
  if (change.kind === 'create') {
    const { operation, when, timezone } = change.wanted;
    return [
      `+ ${place}: ${operation}, ${whenText(when)}${'calendars' in when ? ` ${timezone}` : ''}`,
      `    next ${upcoming(change.wanted, now).map(minuteText).join(', ')}`,
    ];
  }
  const who = change.by === 'hand' ? 'changed by hand in Temporal' : 'changed in the configuration';
  const differences = change.differences.map((difference) => `    ${differenceText(difference)}`);
  return [`~ ${place}: ${who}`, ...differences];
}

const upcoming = ({ when, timezone }: WantedSchedule, now: Date): string[] =>
  nextRuns(when, timezone, now, 3).map((at) => at.toISOString());

/** `2026-11-22T01:30Z`. */
const minuteText = (iso: string | undefined): string => (iso === undefined ? '' : `${iso.slice(0, 16)}Z`);
