import * as z from 'zod';
import { connectionTo } from './connection.ts';

/** A PostgreSQL identifier that needs no quotes, so that it is the same name in every query. */
const identifier = '[a-z_][a-z0-9_]{0,62}';

export const reportSink = z
  .strictObject({
    connection: connectionTo(
      {
        whole: 'How every host that files reports reaches the server of the table.',
        user: 'Role that writes the table: it makes it, or has SELECT, INSERT and UPDATE on one that is complete.',
      },
      z.string().min(1).describe('Database of the table.'),
    ),
    table: z
      .string()
      .regex(new RegExp(`^(?:${identifier}\\.)?${identifier}$`), 'a table, or schema.table, in lower case')
      .default('db_backup_job')
      .describe('The table; made, or completed where columns are missing.'),
  })
  .describe('A table of PostgreSQL that gets one row for each run, beside the reports in the repositories.');
