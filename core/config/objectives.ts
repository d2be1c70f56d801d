import * as z from 'zod';
import { duration } from './values.ts';

export const objectives = z.strictObject({
  rpo: duration
    .prefault('5m')
    .describe(
      'Recovery point objective: how many seconds of work may be lost. `check` holds archive_timeout against it, `wal sync` and the hosts what is archived.',
    ),
  rto: duration
    .optional()
    .describe('Recovery time objective: how long a restore may take; reports compare it with what was measured.'),
  backup: duration
    .optional()
    .describe(
      'How old the newest backup may become before the hosts of the cluster alarm, which they do without Temporal. Without it: half as long again as the longest pause between two scheduled backups; without such a schedule, any age.',
    ),
  dump: duration
    .optional()
    .describe(
      'The same for dumps: the newest of each database that `dumps.databases` names; of `all`, the newest, and that of each database that the server has and that was dumped before. Without it: as the schedules of dumps promise.',
    ),
  proof: duration
    .optional()
    .describe(
      'The same for the newest drill that passed, and the schedules of drills; drills of dumps are not counted.',
    ),
});
