import type { RetentionRules } from './facts.ts';

/** The rules that keep the newest backup of each of so many periods. */
export const periods = ['daily', 'weekly', 'monthly', 'yearly'] as const satisfies readonly (keyof RetentionRules)[];
export type Period = (typeof periods)[number];

/** The period that a moment falls into, as people of the timezone call it: `2026-11-20`, `2026-W47`, `2026-11`, `2026`. */
export type Calendar = (period: Period, at: number) => string;

type CivilDate = { year: string; month: string; day: string };

/** @param timezone of the IANA database. */
export function calendarOf(timezone: string): Calendar {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  });
  const known = new Map<number, CivilDate>();
  const dateOf = (at: number): CivilDate => {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
    const date = { year: parts.year as string, month: parts.month as string, day: parts.day as string };
    known.set(at, date);
    return date;
  };
  return (period, at) => {
    const { year, month, day } = known.get(at) ?? dateOf(at);
    if (period === 'yearly') return year;
    if (period === 'monthly') return `${year}-${month}`;
    if (period === 'daily') return `${year}-${month}-${day}`;
    return weekOf(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  };
}

const dayMs = 86_400_000;

/** ISO 8601: a week begins on Monday, and belongs to the year that has its Thursday. */
function weekOf(midnight: number): string {
  const sinceMonday = (new Date(midnight).getUTCDay() + 6) % 7;
  const thursday = new Date(midnight + (3 - sinceMonday) * dayMs);
  const firstDay = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  const week = Math.floor((thursday.getTime() - firstDay) / (7 * dayMs)) + 1;
  return `${thursday.getUTCFullYear()}-W${String(week).padStart(2, '0')}`;
}
