import { wantedSchedules } from '../core/schedule/wanted.ts';
import { applySchedules } from '../workers/schedules/apply.ts';
import { planSchedules, type ScheduleChange } from '../workers/schedules/plan.ts';
import { compressed } from './fleet-config.ts';
import type { BenchFleet } from './fleet-of.ts';

export type Applied = { schedules: number; seconds: number; tries: number };

/** One machine's server with SQLite stumbles over 6,000 schedules at once; what was done is left as it is. */
const mostTries = 10;

/**
 * Brings the fleet's schedules to Temporal by the product's own `schedules apply`.
 * @param factor how many times faster the day goes by. @defaultValue 1, the configuration's own
 */
export async function applyFleet(fleet: BenchFleet, factor = 1): Promise<Applied> {
  const began = performance.now();
  for (let tries = 1; ; tries += 1) {
    try {
      const schedules = await applyOnce(fleet, factor);
      return { schedules, seconds: (performance.now() - began) / 1000, tries };
    } catch (error) {
      if (tries === mostTries) throw error;
    }
  }
}

async function applyOnce({ config, temporal: { client } }: BenchFleet, factor: number): Promise<number> {
  const signal = AbortSignal.timeout(600_000);
  const all = wantedSchedules(config);
  const wanted = new Map((factor === 1 ? all : compressed(all, factor)).map((each) => [each.id, each]));
  const plan = await planSchedules(client, config, { signal });
  const changes = plan.changes.map(
    (change): ScheduleChange => (change.kind === 'delete' ? change : { ...change, wanted: wanted.get(change.id)! }),
  );
  await applySchedules(client, { ...plan, changes }, { confirmed: false, signal });
  return all.length;
}
