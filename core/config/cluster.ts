import * as z from 'zod';
import { connectionTo } from './connection.ts';
import { dumps } from './dumps.ts';
import { objectives } from './objectives.ts';
import { retention } from './retention.ts';
import { schedules } from './schedules.ts';
import { absolutePath, duration, name } from './values.ts';

const connection = connectionTo(
  {
    whole: 'How this host reaches the server.',
    user: 'Role that pgproof connects as; `init` prints the SQL that makes it.',
  },
  z.string().min(1).default('postgres').describe('Database that holds the schema `pgproof`.'),
);

const wal = z.strictObject({
  mode: z
    .literal('archive')
    .default('archive')
    .describe('`archive`: PostgreSQL hands over finished segments by archive_command.'),
  acknowledge: z
    .literal('spool')
    .default('spool')
    .describe('When PostgreSQL is told "archived": `spool`, once the segment is durable on this host.'),
  heartbeat: duration.prefault('10s').describe('How often the heartbeat row is written; RPO is measured with it.'),
});

const drillCheck = z.strictObject({
  name: name.describe('Stands in the report.'),
  database: z.string().min(1).describe('Database of the restored server to ask.'),
  sql: z.string().min(1).describe('A query; the check passes when the first column of its only row is true.'),
});

export const cluster = z.strictObject({
  host: z
    .union([
      name,
      z
        .array(name)
        .min(1, 'at least one host')
        .refine((names) => new Set(names).size === names.length, 'each host once'),
    ])
    .transform((hosts): readonly string[] => (typeof hosts === 'string' ? [hosts] : hosts))
    .describe(
      'Name of the host the server runs on; a list where the cluster has standbys, too. The first leads: a standby that was promoted enters the archive once its host stands first.',
    ),
  prefer: z
    .enum(['primary', 'standby'])
    .default('primary')
    .describe('Where a backup is taken: `standby` takes the primary where no standby is fit for it.'),
  connection,
  tools: z
    .strictObject({
      bin: z
        .union([z.literal('auto'), absolutePath])
        .default('auto')
        .describe("Folder of PostgreSQL's programs; `auto` finds the server's major."),
      docker: z
        .string()
        .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/, 'the name of a container')
        .optional()
        .describe(
          'Name of a container: pg_dump, pg_restore and psql run in it, by `docker exec`. Only dumps do; connection is as seen from in there and from here.',
        ),
    })
    .prefault({}),
  wal: wal.prefault({}),
  repositories: z
    .array(name)
    .min(1, 'at least one repository')
    .refine((names) => new Set(names).size === names.length, 'each repository once')
    .describe('Where backups and WAL go, nearest first: a restore takes each object from the first that has it whole.'),
  write: z
    .enum(['first', 'all'])
    .default('first')
    .describe(
      '`first`: backups and WAL are written to the first repository, and `copy` brings them to the others. `all`: they are written to all at once.',
    ),
  required: z
    .array(name)
    .min(1)
    .optional()
    .describe(
      'Repositories that must hold a WAL segment before it leaves the spool, and a backup before it is done. Without it: all that are written to.',
    ),
  key: name.optional().describe('Name of the key. Without one nothing is encrypted and nothing is authenticated.'),
  walKey: name
    .optional()
    .describe('Name of another key that seals WAL, so that backups and WAL open separately. Without it: `key`.'),
  retention: retention.prefault({}),
  objectives: objectives.prefault({}),
  schedules: schedules.prefault({}),
  dumps: dumps.prefault({}),
  drills: z
    .strictObject({
      checks: z.array(drillCheck).default([]).describe('Questions a restored server must answer in every drill.'),
    })
    .prefault({}),
});
