import * as z from 'zod';
import { durationText } from '../duration.ts';
import { requestSchemas } from '../request.ts';
import { months, weekdays } from '../schedule/calendar.ts';
import { type Kind, kinds, overlaps, scheduledOperations } from '../schedule/kinds.ts';
import { everComes, type When, whenOfCalendar, whenOfCron } from '../schedule/when.ts';
import { duration, name, timezone } from './values.ts';

const one = <T extends z.ZodType>(value: T) =>
  z.union([value, z.array(value).min(1, 'at least one')]).transform((given) => [given].flat() as z.output<T>[]);

const time = z
  .string()
  .regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'a time such as 02:00 or 14:30')
  .meta({ title: 'time' });

const calendar = z
  .strictObject({
    at: one(time).describe('Times of the day, 00:00 to 23:59.'),
    weekdays: one(z.enum(weekdays)).optional().describe('Only on these; every day without it.'),
    days: one(z.number().int().min(1).max(31)).optional().describe('Only on these days of the month.'),
    months: one(z.enum(months)).optional().describe('Only in these.'),
  })
  .transform((moments): When => whenOfCalendar(moments))
  .describe('When: by the calendar. All that is given must hold: days 1 to 7 and sunday are the first Sunday.');

const cron = z
  .string()
  .meta({ title: 'cron text' })
  .transform((text, context): When => {
    try {
      return whenOfCron(text);
    } catch (error) {
      context.addIssue({
        code: 'custom',
        message: `'${text}' is no cron text: ${(error as Error).message}`,
        params: { isSentence: true },
        input: text,
      });
      return z.NEVER;
    }
  });

/** The defaults of all kinds; those that are the same once. */
function byKind(field: keyof Kind): string {
  const text = (value: string | number): string => (typeof value === 'number' ? durationText(value) : value);
  const kindsOf = Map.groupBy(scheduledOperations, (operation) => text(kinds[operation][field]));
  return [...kindsOf].map(([value, operations]) => `\`${value}\` for ${operations.join(', ')}`).join('; ');
}

const schedule = z
  .strictObject({
    run: z.enum(scheduledOperations).describe('The operation.'),
    cron: cron
      .optional()
      .describe('When: cron text of five fields, minute, hour, day of the month, month, weekday; such as `0 2 * * 0`.'),
    calendar: calendar.optional(),
    every: duration
      .refine((seconds) => seconds >= 60, 'at least 1m')
      .optional()
      .describe('When: at this interval, whatever the clocks do. Each schedule has a moment of its own in it.'),
    timezone: timezone.optional().describe('Of cron and calendar. Default: that of the file.'),
    jitter: duration
      .optional()
      .describe(
        `Cron and calendar: runs begin up to so much later, each at its own moment. Default: ${byKind('jitter')}.`,
      ),
    overlap: z
      .enum(overlaps)
      .optional()
      .describe(
        `The run before is still under way: \`skip\` this one, or \`wait\` and run it then. Default: ${byKind('overlap')}.`,
      ),
    catchup: duration
      .refine((seconds) => seconds >= 10, 'at least 10s')
      .optional()
      .describe(
        `A run that was missed because Temporal was away is made up for within so long. Default: ${byKind('catchup')}.`,
      ),
    with: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))
      .default({})
      .describe(
        "The operation's own settings, as the command line has them: `share`, `restore`, `to`, `tier`, `databases`, …",
      ),
  })
  .superRefine((value, context) => {
    const refuse = (path: PropertyKey[], message: string, input: unknown): void =>
      context.addIssue({ code: 'custom', path, message, params: { isSentence: true }, input });
    const given = (['cron', 'calendar', 'every'] as const).filter((key) => value[key] !== undefined);
    if (given.length !== 1) return refuse([], 'give one of cron, calendar and every', given.join(', '));
    if (value.every !== undefined)
      for (const key of ['timezone', 'jitter'] as const)
        if (value[key] !== undefined) refuse([key], 'belongs to cron and calendar, not to every', value[key]);
    for (const key of ['cron', 'calendar'] as const)
      if (value[key] !== undefined && !everComes(value[key])) refuse([key], 'there is no such date', given[0]);
    for (const { key, message } of problemsOf(value.run, value.with)) refuse(['with', key], message, value.with[key]);
  });

export const schedules = z
  .record(name, schedule)
  .describe('What runs by itself, by names of your choice; `pgproof schedules apply` brings it to Temporal.');

/** What schedules ask of repositories that the cluster does not have. */
export function repositoryProblems(value: z.output<typeof schedules>, repositories: readonly string[]) {
  return Object.entries(value).flatMap(([key, { run, with: asked }]) => {
    const alone = run === 'copy' && repositories.length === 1;
    const strange = (['to', 'from', 'repository'] as const).filter(
      (setting) => typeof asked[setting] === 'string' && !repositories.includes(asked[setting]),
    );
    return [
      ...(alone ? [{ path: [key], message: 'copy needs a second repository of the cluster', input: run }] : []),
      ...strange.map((setting) => ({
        path: [key, 'with', setting],
        message: `'${asked[setting]}' is none of the cluster's repositories (${repositories.join(', ')})`,
        input: asked[setting],
      })),
    ];
  });
}

/** What a person has to say, and what the schedule says itself. */
const notHere = ['cluster', 'requestedBy', 'confirmed'];

function problemsOf(run: z.output<typeof schedule>['run'], asked: Record<string, unknown>) {
  const { shape } = requestSchemas[run];
  const allowed = Object.keys(shape).filter((key) => !notHere.includes(key));
  const unknown = Object.keys(asked).filter((key) => !allowed.includes(key));
  const issues = requestSchemas[run].safeParse({ ...asked, cluster: 'x' }).error?.issues ?? [];
  return [
    ...unknown.map((key) => ({ key, message: `${run} takes no such setting here (it takes ${allowed.join(', ')})` })),
    ...issues.map(({ path, message }) => ({ key: String(path[0]), message })),
  ];
}
