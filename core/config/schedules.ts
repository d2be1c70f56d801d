import * as z from 'zod';
import { duration, name } from './values.ts';

/** What a schedule can run. */
export const scheduledOperations = ['backup', 'walSync', 'copy', 'expire', 'verify', 'drill'] as const;

const schedule = z.strictObject({
  run: z.enum(scheduledOperations).describe('The operation.'),
  cron: z.string().min(1).optional().describe('When: cron text, five fields.'),
  every: duration.optional().describe('When: at this interval.'),
  jitter: duration.optional().describe('Spread over so long, so that a fleet does not begin all at once.'),
  catchup: duration
    .optional()
    .describe('A run that was missed because Temporal was away is made up for within so long.'),
  with: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
    .default({})
    .describe("The operation's own settings, as the command line has them: `share`, `restore`, `to`, …"),
});

export const schedules = z
  .record(name, schedule)
  .describe('What runs by itself, by names of your choice; `pgproof schedules apply` brings it to Temporal.');
