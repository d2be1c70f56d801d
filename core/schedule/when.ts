import { durationText } from '../duration.ts';
import { type Calendar, calendarText, cronCalendar, every, months, sorted, weekdays } from './calendar.ts';

/** When a schedule runs: by the clock on the wall, or at intervals that no change of the clocks touches. Seconds. */
export type When = { calendars: readonly Calendar[] } | { everySeconds: number; offsetSeconds: number };

/** A moment in the words of the configuration. */
export type CalendarText = {
  at: readonly string[];
  weekdays?: readonly (typeof weekdays)[number][] | undefined;
  days?: readonly number[] | undefined;
  months?: readonly (typeof months)[number][] | undefined;
};

/** @throws {Error} as `cronCalendar` does. */
export function whenOfCron(text: string): When {
  return { calendars: [cronCalendar(text)] };
}

/** One calendar for each minute: 02:00 and 14:30 are not 02:30. */
export function whenOfCalendar({ at, weekdays: named, days, months: inMonths }: CalendarText): When {
  const times = at.map((time) => time.split(':').map(Number) as [number, number]);
  const shared = {
    days: days === undefined ? every.days : sorted(days),
    months: inMonths === undefined ? every.months : sorted(inMonths.map((name) => months.indexOf(name) + 1)),
    weekdays: named === undefined ? every.weekdays : sorted(named.map((name) => weekdays.indexOf(name))),
  };
  return {
    calendars: sorted(times.map(([, minute]) => minute)).map((minute) => ({
      minutes: [minute],
      hours: sorted(times.filter(([, other]) => other === minute).map(([hour]) => hour)),
      ...shared,
    })),
  };
}

/** Whether there is such a date at all: 30 February never comes. */
export function everComes(when: When): boolean {
  if (!('calendars' in when)) return true;
  return when.calendars.some(({ days, months: named }) =>
    named.some((month) => days.some((date) => date <= (longestMonths[month - 1] as number))),
  );
}

const longestMonths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** In one form for one meaning, to be compared and to be read: `0 2 * * 0`, `every 15m + 97s`. */
export function whenText(when: When): string {
  if ('calendars' in when) return when.calendars.map(calendarText).sort().join('; ');
  const { everySeconds, offsetSeconds } = when;
  return `every ${durationText(everySeconds)}${offsetSeconds === 0 ? '' : ` + ${durationText(offsetSeconds)}`}`;
}
