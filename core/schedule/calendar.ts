import { parseCronExpression } from 'cron-schedule';

/** Moments by the clock on the wall: those that are in every one of the lists, each sorted. Sunday is 0, January is 1. */
export type Calendar = {
  minutes: readonly number[];
  hours: readonly number[];
  days: readonly number[];
  months: readonly number[];
  weekdays: readonly number[];
};

export const calendarFields = ['minutes', 'hours', 'days', 'months', 'weekdays'] as const;

/** All values of each field. */
export const every: Calendar = {
  minutes: range(0, 59),
  hours: range(0, 23),
  days: range(1, 31),
  months: range(1, 12),
  weekdays: range(0, 6),
};

export const weekdays = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;
export const months = [
  ...['january', 'february', 'march', 'april', 'may', 'june'],
  ...['july', 'august', 'september', 'october', 'november', 'december'],
] as const;

/**
 * Cron text of five fields.
 * @throws {Error} a sentence that says what is wrong with it. A day of the month together with a weekday is refused: cron
 * takes either, Temporal both.
 */
export function cronCalendar(text: string): Calendar {
  const fields = text.trim().split(/\s+/);
  if (fields.length !== 5) throw new Error('cron text has five fields: minute, hour, day, month, weekday');
  const odd = fields.find((field) => !field.split(',').every((part) => cronPart.test(part)));
  if (odd !== undefined) throw new Error(`'${odd}' is no list of values, ranges (1-5) and steps (*/2, 0-30/10)`);
  const cron = parsed(fields.join(' '));
  if (cron.days.length < 31 && cron.weekdays.length < 7)
    throw new Error(
      'a day of the month and a weekday together mean different things to different programs; use calendar',
    );
  return {
    minutes: sorted(cron.minutes),
    hours: sorted(cron.hours),
    days: sorted(cron.days),
    months: sorted(cron.months.map((month) => month + 1)),
    weekdays: sorted(cron.weekdays),
  };
}

/** What the library says, as the end of a sentence: `Failed to parse 61: 61 is outside of …` repeats itself. */
function parsed(text: string): ReturnType<typeof parseCronExpression> {
  try {
    return parseCronExpression(text);
  } catch (error) {
    throw new Error(
      (error as Error).message
        .replace(/^Failed to parse (?:(\S+): (?=\1 is ))?|\.$/g, '')
        .replace(' is NaN', ' is neither a number nor a name'),
      { cause: error },
    );
  }
}

/** The library reads what it does not understand as something else: `0/15` as 0. */
const cronPart = /^(?:\d{1,2}|[a-z]{3}|(?:\*|(?:\d{1,2}|[a-z]{3})-(?:\d{1,2}|[a-z]{3}))(?:\/\d{1,2})?)$/i;

/** In the form of cron text, in one form for one calendar: lists, ranges from three on, `*`. */
export function calendarText(calendar: Calendar): string {
  return calendarFields.map((field) => listText(calendar[field], every[field].length)).join(' ');
}

function listText(values: readonly number[], all: number): string {
  if (values.length === all) return '*';
  const runs: number[][] = [];
  for (const value of values) {
    const last = runs.at(-1);
    if (last !== undefined && last.at(-1) === value - 1) last.push(value);
    else runs.push([value]);
  }
  return runs.map((run) => (run.length < 3 ? run.join(',') : `${run[0]}-${run.at(-1)}`)).join(',');
}

export const sorted = (values: Iterable<number>): number[] => [...new Set(values)].sort((one, other) => one - other);

export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
