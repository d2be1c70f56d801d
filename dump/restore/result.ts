import * as z from 'zod';
import { drillCheckResult, phase } from '../../core/report.ts';

const countedTable = z.object({ schema: z.string(), table: z.string(), rows: z.number().nullable() });

/** What the restore of a dump came to; a part of the result of a plan's report, and of a drill's. */
const dumpRestoreResult = z.object({
  /** The dump's id, or the file's path. */
  dump: z.string(),
  format: z.string(),
  /** Of the dump. */
  sourceDatabase: z.string().nullable(),
  sourceVersion: z.string().nullable(),
  /** What it was restored to. */
  database: z.string(),
  serverVersion: z.string(),
  /** pg_restore or psql, and its version. */
  tool: z.string(),
  jobs: z.number(),
  plainBytes: z.number(),
  /** prepare, fetch, create, globals, restore, count, checks. */
  phases: z.array(phase),
  /** Tables that are there now, of those that users make, and how many the dump's list has; null where it has none. */
  tables: z.object({ found: z.number(), expected: z.number().nullable() }),
  /** The largest, counted one by one; null rows: it took too long. */
  largest: z.array(countedTable),
  /** `drills.checks` of this database, asked in the restored one. A failed one fails no restoreDump: its caller judges. */
  checks: z.array(drillCheckResult),
  /** Roles and tablespaces that exist otherwise than the dump's globals say, and were left alone; sentences. */
  conflicts: z.array(z.string()),
  notes: z.array(z.string()),
});
export type DumpRestoreResult = z.infer<typeof dumpRestoreResult>;

/** What carrying out a plan came to: the result of its report. */
export const plannedResult = dumpRestoreResult.extend({
  kind: z.literal('dump'),
  planId: z.string(),
  /** Name of the cluster whose server holds it now. */
  server: z.string(),
  mode: z.string(),
  /** What the database is called that was there before; null where there was none, or it was changed itself. */
  replaced: z.string().nullable(),
  finishedAt: z.iso.datetime(),
});
export type PlannedResult = z.infer<typeof plannedResult>;

/** What carrying out the plan of a server's globals, or of a whole server, came to: the result of its report. */
export const wholeResult = z.object({
  kind: z.literal('whole'),
  of: z.enum(['globals', 'cluster']),
  planId: z.string(),
  dump: z.string(),
  sourceVersion: z.string().nullable(),
  /** Name of the cluster whose server has it now. */
  server: z.string(),
  serverVersion: z.string(),
  /** psql, and its version. */
  tool: z.string(),
  plainBytes: z.number(),
  phases: z.array(phase),
  /** That were made. */
  roles: z.array(z.string()),
  databases: z.array(z.object({ name: z.string(), tables: z.number(), largest: z.array(countedTable) })),
  checks: z.array(drillCheckResult),
  conflicts: z.array(z.string()),
  notes: z.array(z.string()),
  finishedAt: z.iso.datetime(),
});
export type WholeResult = z.infer<typeof wholeResult>;
