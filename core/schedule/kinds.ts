import type { Operation } from '../request.ts';

/** What happens when it is time and the run before is still under way: `skip` leaves this one out, `wait` begins it afterwards. */
export const overlaps = ['skip', 'wait'] as const;

/** What a schedule of a kind has where the configuration says nothing. All seconds. */
export type Kind = {
  overlap: (typeof overlaps)[number];
  /** How late a run may begin that was missed because Temporal was away. */
  catchup: number;
  /** Over how long a fleet's runs of one moment are spread. */
  jitter: number;
};

const minutes = 60;
const hours = 3600;

/** What can run by itself. A restore never does; what a person must confirm cannot be confirmed here. */
export const kinds = {
  backup: { overlap: 'skip', catchup: 12 * hours, jitter: 30 * minutes },
  dump: { overlap: 'skip', catchup: 12 * hours, jitter: 30 * minutes },
  walSync: { overlap: 'skip', catchup: 1 * minutes, jitter: 0 }, // the next one says more than a late one
  copy: { overlap: 'skip', catchup: 12 * hours, jitter: 30 * minutes },
  expire: { overlap: 'skip', catchup: 6 * hours, jitter: 30 * minutes },
  verify: { overlap: 'skip', catchup: 24 * hours, jitter: 60 * minutes },
  drill: { overlap: 'skip', catchup: 24 * hours, jitter: 60 * minutes },
} as const satisfies Partial<Record<Operation, Kind>>;

export type ScheduledOperation = keyof typeof kinds;
export const scheduledOperations = Object.keys(kinds) as [ScheduledOperation, ...ScheduledOperation[]];
