import * as z from 'zod';
import { absolutePath } from './values.ts';

export const host = z
  .strictObject({
    state: absolutePath
      .optional()
      .describe(
        'State folder of this host: spools, plans, drills, logs. Default: /var/lib/pgproof, or $XDG_STATE_HOME/pgproof for an ordinary user.',
      ),
    slots: z
      .number()
      .int()
      .min(1)
      .max(16)
      .default(1)
      .describe(
        'Backups, copies, verifies and drills that may run at the same time on this host. A restore never waits for them.',
      ),
  })
  .describe('One machine that runs a pgproof worker. The name is its hostname, or what --host says.');
