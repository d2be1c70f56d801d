import { offsetMinutes } from '../zone.ts';
import { isMeant } from './next.ts';
import type { WantedSchedule } from './wanted.ts';

const day = 86_400_000;
const minute = 60_000;
const mostNamed = 3;

/**
 * What a change of the clocks does to schedules within a year: a run whose time is skipped does not happen. Sentences for
 * people, one for each change.
 */
export function clockNotes(wanted: readonly WantedSchedule[], from: Date): string[] {
  const byZone = Map.groupBy(wanted, ({ timezone }) => timezone);
  return [...byZone].flatMap(([zone, schedules]) =>
    skippedHours(zone, from.getTime()).flatMap((gap) => noteOn(zone, gap, schedules)),
  );
}

/** By the wall clock; `to` exists again. */
type Gap = { from: number; to: number };

function skippedHours(zone: string, from: number): Gap[] {
  return Array.from({ length: 366 }, (_, ahead) => from + ahead * day).flatMap((at) => {
    const before = offsetMinutes(zone, at);
    const after = offsetMinutes(zone, at + day);
    if (after <= before) return [];
    const change = changeBetween(zone, at, at + day, before);
    return [{ from: change + before * minute, to: change + after * minute }];
  });
}

/** The first minute at which the offset is another. */
function changeBetween(zone: string, low: number, high: number, offset: number): number {
  let [known, other] = [Math.floor(low / minute), Math.floor(high / minute)];
  while (other - known > 1) {
    const middle = Math.floor((known + other) / 2);
    if (offsetMinutes(zone, middle * minute) === offset) known = middle;
    else other = middle;
  }
  return other * minute;
}

function noteOn(zone: string, gap: Gap, schedules: readonly WantedSchedule[]): string[] {
  const skipped = schedules.flatMap((schedule) => {
    const time = skippedTime(schedule, gap);
    return time === undefined ? [] : [`${schedule.cluster}/${schedule.name} (${time})`];
  });
  if (skipped.length === 0) return [];
  const named = skipped.slice(0, mostNamed).join(', ');
  const more = skipped.length > mostNamed ? ` and ${skipped.length - mostNamed} others` : '';
  return [
    `${dateText(gap.from)} has no time from ${timeText(gap.from)} to ${timeText(gap.to)} in ${zone}: ${named}${more} will not run then`,
  ];
}

/** Only of what runs at most hourly in that gap: something that runs at each hour has its next one soon. */
function skippedTime({ when }: WantedSchedule, { from, to }: Gap): string | undefined {
  if (!('calendars' in when) || when.calendars.some(({ hours }) => hours.length === 24)) return undefined;
  const minutes = Array.from({ length: (to - from) / minute }, (_, n) => from + n * minute);
  const missed = minutes.find((wall) => isMeant(when.calendars, wall));
  return missed === undefined ? undefined : timeText(missed);
}

const dateText = (wall: number): string => new Date(wall).toISOString().slice(0, 10);
const timeText = (wall: number): string => new Date(wall).toISOString().slice(11, 16);
