import type { Client } from '@temporalio/client';
import type { Config } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import type { WantedSchedule } from '../../core/schedule/wanted.ts';
import { type FleetSchedule, readSchedules } from './read.ts';
import { fields, fingerprintOf, foundTerms, wantedTerms } from './terms.ts';

export type Difference = { field: string; is: string; wanted: string };

type Place = { id: string; cluster: string; name: string };

/** What would make Temporal as the configuration is. `hand`: since it was last applied, somebody changed it in Temporal. */
export type ScheduleChange =
  | (Place & { kind: 'create'; wanted: WantedSchedule })
  | (Place & { kind: 'update'; wanted: WantedSchedule; by: 'configuration' | 'hand'; differences: Difference[] })
  | (Place & { kind: 'delete' });

export type SchedulePlan = {
  fleet: string;
  changes: ScheduleChange[];
  /** Schedules that are as they should be, and those that Temporal has at all. */
  unchanged: number;
  existing: number;
  /** Pauses made by people: they stay. */
  paused: (Place & { note: string })[];
};

/**
 * How Temporal's schedules differ from the configuration.
 * @param cluster only this one's.
 * @throws {PgproofError} `temporal-unreachable`.
 */
export async function planSchedules(
  client: Client,
  config: Config,
  options: { signal: AbortSignal; cluster?: string },
): Promise<SchedulePlan> {
  return planOf(config.fleet, await readSchedules(client, config, options));
}

function planOf(fleet: string, schedules: readonly FleetSchedule[]): SchedulePlan {
  const changes = schedules.flatMap((schedule) => changeOf(schedule) ?? []);
  const existing = schedules.filter(({ found }) => found !== undefined);
  return {
    fleet,
    changes,
    unchanged: schedules.length - changes.length,
    existing: existing.length,
    paused: existing
      .filter(({ found }) => found?.state.paused === true)
      .map((schedule) => ({ ...placeOf(schedule), note: schedule.found?.state.note ?? '' })),
  };
}

export function changeOf(schedule: FleetSchedule): ScheduleChange | undefined {
  const { wanted, found } = schedule;
  const place = placeOf(schedule);
  if (wanted === undefined) return { ...place, kind: 'delete' };
  if (found === undefined) return { ...place, kind: 'create', wanted };
  const [is, should] = [foundTerms(found), wantedTerms(wanted)];
  const differences = fields
    .filter((field) => is[field] !== should[field])
    .map((field) => ({ field, is: is[field], wanted: should[field] }));
  const applied = fingerprintOf(found) === wanted.fingerprint;
  if (applied && differences.length === 0) return undefined;
  return { ...place, kind: 'update', wanted, by: applied ? 'hand' : 'configuration', differences };
}

/** What is to be said when Temporal is not as the configuration is; undefined when it is. */
export function driftOf({ fleet, changes }: SchedulePlan): PgproofError | undefined {
  if (changes.length === 0) return undefined;
  return new PgproofError(
    'schedules-differ',
    `the schedules in Temporal are not those of the configuration: ${countsText(changes)}`,
    {
      facts: { fleet, changes: changes.slice(0, mostNamed).map(changeText), differing: changes.length },
      hint: "Look with 'pgproof schedules apply --dry-run', and bring them together with 'pgproof schedules apply'.",
    },
  );
}

const mostNamed = 20;

/** `2 missing, 1 changed by hand`. */
export function countsText(changes: readonly ScheduleChange[]): string {
  const counts = Map.groupBy(changes, wordsFor);
  return [...counts].map(([words, { length }]) => `${length} ${words}`).join(', ');
}

/** `shop/base: changed by hand (timezone: UTC, should be Europe/Berlin)`. */
export function changeText(change: ScheduleChange): string {
  const details = change.kind === 'update' ? change.differences.map(differenceText).join('; ') : '';
  return `${change.cluster}/${change.name}: ${wordsFor(change)}${details === '' ? '' : ` (${details})`}`;
}

export const differenceText = ({ field, is, wanted }: Difference): string => `${field}: ${is}, should be ${wanted}`;

function wordsFor(change: ScheduleChange): string {
  if (change.kind === 'create') return 'missing';
  if (change.kind === 'delete') return 'not in the configuration';
  return change.by === 'hand' ? 'changed by hand' : 'changed in the configuration';
}

const placeOf = ({ id, cluster, name }: Place): Place => ({ id, cluster, name });
