import { instantsAt, wallAt } from '../zone.ts';
import type { Calendar } from './calendar.ts';
import type { When } from './when.ts';

const day = 86_400_000;
/** 29 February comes again after eight years at the latest. */
const longestWait = 8 * 366;

/**
 * The next runs after a moment, before jitter, as Temporal reckons them: a time in the hour that the clocks skip is left out,
 * one in the hour that comes twice is its second.
 */
export function nextRuns(when: When, zone: string, after: Date, count: number): Date[] {
  if ('everySeconds' in when) return nextOfInterval(when, after, count);
  const today = Math.floor(wallAt(zone, after.getTime()) / day) * day;
  const found: number[] = [];
  for (let ahead = 0; ahead <= longestWait && found.length < count; ahead += 1) {
    const instants = wallTimes(when.calendars, today + ahead * day).flatMap((wall) => instantsAt(zone, wall).slice(-1));
    found.push(...instants.filter((at) => at > after.getTime()));
  }
  return found.slice(0, count).map((at) => new Date(at));
}

/** Whether a time by the wall clock is one of these. */
export function isMeant(calendars: readonly Calendar[], wall: number): boolean {
  return wallTimes(calendars, Math.floor(wall / day) * day).includes(wall);
}

function nextOfInterval(
  { everySeconds, offsetSeconds }: Extract<When, { everySeconds: number }>,
  after: Date,
  count: number,
) {
  const first = Math.floor((after.getTime() / 1000 - offsetSeconds) / everySeconds) + 1;
  return Array.from({ length: count }, (_, n) => new Date(((first + n) * everySeconds + offsetSeconds) * 1000));
}

/** Of one day, sorted. @param midnight as if UTC. */
function wallTimes(calendars: readonly Calendar[], midnight: number): number[] {
  const date = new Date(midnight);
  const times = calendars
    .filter(
      ({ days, months, weekdays }) =>
        days.includes(date.getUTCDate()) &&
        months.includes(date.getUTCMonth() + 1) &&
        weekdays.includes(date.getUTCDay()),
    )
    .flatMap(({ hours, minutes }) => hours.flatMap((hour) => minutes.map((minute) => (hour * 60 + minute) * 60_000)));
  return [...new Set(times)].sort((one, other) => one - other).map((time) => midnight + time);
}
