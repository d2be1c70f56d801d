import * as z from 'zod';
import { durationPattern, durationSeconds } from '../duration.ts';
import { isName } from '../names.ts';

/* What values of the configuration look like, wherever they stand. */

export const name = z
  .string()
  .refine(isName, '1 to 63 lower-case letters, digits and dashes, beginning with a letter or digit')
  .meta({ title: 'name' });
export const absolutePath = z
  .string()
  .regex(/^\//, 'an absolute path, beginning with /')
  .meta({ title: 'absolute path' });
export const port = z.number().int().min(1).max(65_535);
export const duration = z
  .string()
  .regex(durationPattern, 'a duration such as 30s, 5m, 1h or 7d')
  .meta({ title: 'duration' })
  .transform((text) => durationSeconds(text) as number);

/** Whether the runtime's IANA database knows it. */
export function isTimezone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}
