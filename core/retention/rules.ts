import { type Calendar, periods } from './calendar.ts';
import type { Chains } from './chains.ts';
import { iso } from './clock.ts';
import type { RetentionRules } from './facts.ts';
import type { Standing } from './sequence.ts';

/** Why a backup stays, in a rule's name and a few words. */
export type Reason = { rule: Rule; because: string };
export type Rule =
  | 'no-rules'
  | 'window'
  | 'wal'
  | 'last'
  | 'minimum'
  | (typeof periods)[number]
  | 'branch'
  | 'parent'
  | 'newest'
  | 'proof'
  | 'hold'
  | 'damaged'
  | 'doubt'
  | 'later';

export type Kept = { id: string; reason: Reason };

/** What the rules keep; from `continuousFrom` on every position can be restored. */
export type Ruled = { kept: Kept[]; continuousFrom: Standing };

/** Whether there is any rule at all: without one nothing is ever deleted. */
export function hasRules({ window, wal, last, ...rules }: RetentionRules): boolean {
  return [window, wal, last, ...periods.map((period) => rules[period])].some((value) => (value ?? 0) > 0);
}

/**
 * @param main oldest first; at least one.
 * @param reference what the windows are counted back from: the newest backup, so that nothing grows old while none are made.
 */
export function keepByRules(
  main: readonly Standing[],
  rules: RetentionRules,
  reference: number,
  calendar: Calendar,
  { parentsOf }: Chains,
): Ruled {
  const fulls = main.filter(({ type }) => type === 'full');
  const newestFulls = (count: number): readonly Standing[] => fulls.slice(Math.max(0, fulls.length - count));
  const minimum = newestFulls(rules.minimum);
  const last = newestFulls(rules.last ?? 0);
  const lastIds = new Set(last.map(({ id }) => id));
  const kept: Kept[] = [];
  const keep = (rule: Rule, because: string, ...backups: readonly Standing[]): void => {
    for (const { id } of backups) kept.push({ id, reason: { rule, because } });
  };
  const starts: Standing[] = [main.at(-1) as Standing, ...minimum, ...last];

  keep('minimum', `among the newest ${rules.minimum}`, ...minimum);
  keep('last', `among the last ${rules.last}`, ...last);
  keep(
    'last',
    'made on top of one of these',
    ...main.filter(({ id }) => parentsOf(id)?.some((each) => lastIds.has(each))),
  );
  if (isSet(rules.window)) {
    const { since, before, inside } = windowOf(main, reference, rules.window);
    keep('window', `since ${iso(since)}`, ...inside);
    keep('window', `the one before ${iso(since)}`, ...before);
    starts.push(...before, ...inside.slice(0, 1));
  }
  if (isSet(rules.wal)) {
    const { since, before, inside } = windowOf(main, reference, rules.wal);
    keep('wal', `WAL since ${iso(since)} is replayed from it`, ...before);
    // The first of an era: no WAL of before leads into it. And without one that follows, the one before would stay for ever:
    // all between would have left the window by the time it is replaced.
    const firsts = inside.filter(({ era }, index) => era !== inside[index - 1]?.era);
    keep('wal', 'WAL will be replayed from it once the one before goes', ...firsts);
    starts.push(...before, ...inside.slice(0, 1));
  }
  for (const period of periods) {
    for (const [name, backup] of newestOfEach(main, rules[period] ?? 0, (at) => calendar(period, at)))
      keep(period, `newest of ${name}`, backup);
  }
  const order = new Map(main.map(({ id }, index) => [id, index]));
  const placeOf = ({ id }: Standing): number => order.get(id) as number;
  return { kept, continuousFrom: starts.reduce((a, b) => (placeOf(b) < placeOf(a) ? b : a)) };
}

/** What was made since, and the newest before: every second since can be restored from these. */
function windowOf(main: readonly Standing[], reference: number, seconds: number) {
  const since = reference - seconds * 1000;
  const first = main.findIndex(({ at }) => at > since);
  const behind = first < 0 ? main.length : first;
  return { since, before: main.slice(Math.max(0, behind - 1), behind), inside: main.slice(behind) };
}

/** The newest of each of the newest so many periods that have one. @param main oldest first. */
export function newestOfEach<Made extends { at: number }>(
  main: readonly Made[],
  count: number,
  nameOf: (at: number) => string,
): Map<string, Made> {
  const newest = new Map<string, Made>();
  for (const backup of main.toReversed()) {
    const name = nameOf(backup.at);
    if (newest.has(name)) continue;
    if (newest.size >= count) break;
    newest.set(name, backup);
  }
  return newest;
}

/** The rules in a few words, for what none of them keeps. */
export function ruleText(rules: RetentionRules, reference: number): string {
  const since = (seconds: number) => iso(reference - seconds * 1000);
  const words = [
    ...(isSet(rules.window) ? [`the window since ${since(rules.window)}`] : []),
    ...(isSet(rules.wal) ? [`WAL since ${since(rules.wal)}`] : []),
    ...(isSet(rules.last) ? [`the last ${rules.last}`] : []),
    ...periods.flatMap((period) => (isSet(rules[period]) ? [`${period} ${rules[period]}`] : [])),
  ];
  return `not needed for ${words.join(', ')}`;
}

export const isSet = (value: number | undefined): value is number => value !== undefined && value > 0;
