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
const longest = 36_500 * 86_400;
export const duration = z
  .string()
  .regex(durationPattern, 'a duration such as 30s, 5m, 1h or 7d')
  .meta({ title: 'duration' })
  .transform((text) => durationSeconds(text) as number)
  .refine((seconds) => seconds <= longest, 'at most 36500d, a hundred years');

export const timezone = z
  .string()
  .refine(isTimezone, 'a name of the IANA database, such as UTC, Asia/Shanghai or Europe/Berlin')
  .meta({ title: 'timezone' });

/** As Temporal's server takes it, too: in the right case, and no offset. */
function isTimezone(text: string): boolean {
  if (!/^[A-Z]/.test(text)) return false;
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions();
    return timeZone === text || timeZone.toLowerCase() !== text.toLowerCase(); // others are names of before
  } catch {
    return false;
  }
}
