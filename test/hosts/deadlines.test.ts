import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as z from 'zod';

/** Scenario 6, of every step in every recorded run: neither its waiting nor its work may last for ever. */
const folder = join(import.meta.dirname, '../histories');
const seconds = z
  .string()
  .regex(/^[\d.]+s$/)
  .default('0s')
  .transform((text) => Number.parseFloat(text));
const history = z.object({
  events: z.array(
    z.object({
      activityTaskScheduledEventAttributes: z
        .object({
          activityType: z.object({ name: z.string() }),
          scheduleToStartTimeout: seconds,
          startToCloseTimeout: seconds,
          scheduleToCloseTimeout: seconds,
        })
        .optional(),
    }),
  ),
});

test.each(readdirSync(folder).filter((name) => name.endsWith('.json')))(
  'scenario 6: every step of %s has a deadline, for its wait and for its work',
  (file) => {
    const { events } = history.parse(JSON.parse(readFileSync(join(folder, file), 'utf8')));
    const steps = events.flatMap(({ activityTaskScheduledEventAttributes: step }) =>
      step === undefined ? [] : [step],
    );
    expect(steps.length).toBeGreaterThan(0);
    for (const step of steps) {
      expect(step.startToCloseTimeout, step.activityType.name).toBeGreaterThan(0);
      expect(step.scheduleToCloseTimeout + step.scheduleToStartTimeout, step.activityType.name).toBeGreaterThan(0);
    }
  },
);
