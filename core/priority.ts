import type { Feature } from './request.ts';

/**
 * Who goes first when several wait for the same slots of a host, by Temporal's priority keys: 1 before 5. What protects data
 * comes before what proves it: a drill that comes later is a drill, a backup that comes later is a hole.
 */
export const priorities: Record<Feature, 1 | 2 | 3 | 4 | 5> = {
  restore: 1,
  walSync: 1,
  check: 1,
  backup: 2,
  dump: 2,
  copy: 3,
  expire: 3,
  verify: 4,
  drill: 5,
};
