import * as z from 'zod';

/** One repository that WAL is written to, when its own WAL had come, or was waited for no longer. */
const syncedRepository = z.object({
  repository: z.string(),
  /** Whether the objective asks for it: the spool keeps WAL until it is there. */
  required: z.boolean(),
  /** Where its WAL without a gap ends; null when it cannot be asked. */
  frontier: z.string().nullable(),
  /** Whether all the WAL that the run asked for is there. */
  reached: z.boolean(),
  /** Seconds of work that would be lost with the host; null where no heartbeat tells. Before: when the run began. */
  behindSeconds: z.object({ before: z.number().nullable(), after: z.number().nullable() }),
  /** Why it could not be asked, or what keeps WAL from it. */
  problem: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }).nullable(),
});
export type SyncedRepository = z.infer<typeof syncedRepository>;

/** What making sure of the WAL came to. */
export const walSyncResult = z.object({
  objective: z.enum(['kept', 'broken']),
  /** All WAL before it was to be there: what the server had written when the run began, at this time of its clock. */
  target: z.object({ timeline: z.number(), lsn: z.string(), at: z.iso.datetime() }),
  /** The segment that the run ended, because nothing else would have in time. */
  switched: z.string().nullable(),
  repositories: z.array(syncedRepository),
  objectives: z.object({ rpoSeconds: z.number() }),
  notes: z.array(z.string()),
});
export type WalSyncResult = z.infer<typeof walSyncResult>;
