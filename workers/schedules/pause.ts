import { type Client, ScheduleNotFoundError } from '@temporalio/client';
import { PgproofError } from '../../core/errors.ts';
import { inParallel } from '../../core/parallel.ts';
import type { WantedSchedule } from '../../core/schedule/wanted.ts';
import { patiently, width } from './calls.ts';

type Options = { note: string; signal: AbortSignal };

/**
 * Schedules begin no runs until they are resumed; what is under way goes on. `apply` leaves it so.
 * @throws {PgproofError} `schedule-unknown` for one that Temporal does not have.
 */
export function pauseSchedules(client: Client, schedules: readonly WantedSchedule[], options: Options): Promise<void> {
  return forEach(client, schedules, options, (id) => client.schedule.getHandle(id).pause(options.note));
}

/** Runs that were due meanwhile are not made up for. @throws {PgproofError} `schedule-unknown`. */
export function resumeSchedules(client: Client, schedules: readonly WantedSchedule[], options: Options): Promise<void> {
  return forEach(client, schedules, options, (id) => client.schedule.getHandle(id).unpause(options.note));
}

async function forEach(
  client: Client,
  schedules: readonly WantedSchedule[],
  { signal }: Options,
  change: (id: string) => Promise<void>,
): Promise<void> {
  await inParallel(schedules, { width, signal }, async ({ id }) => {
    try {
      await patiently(client, signal, () => change(id));
    } catch (error) {
      if (error instanceof ScheduleNotFoundError) throw notThere(id);
      throw error;
    }
  });
}

function notThere(id: string): PgproofError {
  return new PgproofError('schedule-unknown', `Temporal has no schedule '${id}'`, {
    facts: { id },
    hint: "The configuration has it: bring it to Temporal with 'pgproof schedules apply'.",
  });
}
