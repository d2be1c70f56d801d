import * as z from 'zod';
import { duration, name } from './values.ts';

const count = z.number().int().min(0).max(10_000);

/** What stays. Whatever one rule keeps is kept; without any rule nothing is ever deleted. */
const rules = {
  window: duration
    .optional()
    .describe(
      'Every second since can be restored, and all backups made since are kept, as is the one before them. Counted back from the newest backup: while none are made, nothing expires.',
    ),
  wal: duration
    .optional()
    .describe('Longer than `window`: every second since can be restored, from fewer backups and with more replay.'),
  last: count.optional().describe('The newest so many full backups.'),
  daily: count.optional().describe('The newest backup of each of so many days.'),
  weekly: count.optional().describe('The newest backup of each of so many weeks; a week begins on Monday.'),
  monthly: count.optional().describe('The newest backup of each of so many months.'),
  yearly: count.optional().describe('The newest backup of each of so many years.'),
  minimum: count
    .min(1)
    .default(1)
    .describe('Never fewer whole full backups than this, the newest, whatever the other rules say.'),
};

const dumpRules = z
  .strictObject({
    window: duration.optional().describe('All that were made since; counted back from the newest of the tier.'),
    last: count.optional().describe('The newest so many.'),
    daily: count.optional().describe('The newest of each of so many days.'),
    weekly: count.optional().describe('The newest of each of so many weeks; a week begins on Monday.'),
    monthly: count.optional().describe('The newest of each of so many months.'),
    yearly: count.optional().describe('The newest of each of so many years.'),
    minimum: count.min(1).default(1).describe('Never fewer than this, the newest, whatever the other rules say.'),
  })
  .describe('Rules for the dumps of one tier.');

const dumps = z
  .record(name, dumpRules)
  .default({})
  .describe(
    'What `expire` keeps of dumps, by their tier; each database is counted alone. Dumps of a tier without rules are never deleted.',
  );

type Rules = { window?: number | undefined; wal?: number | undefined };

/** WAL since a time within the window is kept already. */
const isLonger = ({ window, wal }: Rules): boolean => wal === undefined || window === undefined || wal > window;
const longer = { path: ['wal'], message: 'must be longer than window, whose WAL is kept anyway' };

const repositoryRetention = z.strictObject({ ...rules, dumps }).refine(isLonger, longer);

export const retention = z
  .strictObject({
    ...rules,
    dumps,
    repositories: z
      .record(name, repositoryRetention)
      .default({})
      .describe('Other rules for single repositories: they replace all of those above there.'),
  })
  .refine(isLonger, longer)
  .describe('What `expire` keeps. Without any rule nothing is ever deleted.');
