import * as z from 'zod';
import { duration } from './values.ts';

export const objectives = z.strictObject({
  rpo: duration
    .prefault('5m')
    .describe(
      'Recovery point objective: how many seconds of work may be lost. `check` holds archive_timeout against it.',
    ),
  rto: duration
    .optional()
    .describe('Recovery time objective: how long a restore may take; reports compare it with what was measured.'),
});
