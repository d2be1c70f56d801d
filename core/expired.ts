import * as z from 'zod';
import { dumpKinds } from './dump.ts';

/* What an expire came to; in reports the first hundred of each list, so that it can travel. */

const kept = z.object({
  era: z.string(),
  id: z.string(),
  /** All that keeps it: a rule's name, and a few words. */
  reasons: z.array(z.object({ rule: z.string(), because: z.string() })),
});

const deleted = z.object({
  era: z.string(),
  id: z.string(),
  /** Why no rule keeps it. */
  why: z.string(),
  /** `planned`: nothing was done about it yet. `stayed`: somebody came to need it meanwhile. `retained`: the store keeps some of it for now. */
  outcome: z.enum(['planned', 'deleted', 'stayed', 'retained']),
  detail: z.string().nullable(),
  bytes: z.number(),
});

const walRange = z.object({ timeline: z.number(), from: z.string(), to: z.string().nullable() });

const expiredWal = z.object({
  era: z.string(),
  cuts: z.array(walRange),
  /** Segments that went, or would go. */
  segments: z.number(),
  bytes: z.number(),
  /** Segments that a lock of the store keeps for now. */
  retained: z.number(),
  /** Segments that are needed. */
  stays: z.number(),
  /** Why nothing of it went. */
  stayed: z.string().nullable(),
});
export type ExpiredWal = z.infer<typeof expiredWal>;

/** Of a dump: what it is of, and its tier. */
const dumpFields = {
  id: z.string(),
  kind: z.enum(dumpKinds),
  database: z.string().nullable(),
  /** What of it is in it; null: all. */
  part: z.string().nullable(),
  tier: z.string(),
};

/** What became of the dumps of a repository. */
const expiredDumps = z.object({
  kept: z.array(z.object({ ...dumpFields, reasons: kept.shape.reasons })),
  keptDumps: z.number(),
  deleted: z.array(deleted.omit({ era: true }).extend(dumpFields)),
  deletedDumps: z.number(),
});
export type ExpiredDumps = z.infer<typeof expiredDumps>;
export const noDumps: ExpiredDumps = { kept: [], keptDumps: 0, deleted: [], deletedDumps: 0 };

/** What became of one repository. */
const expiredRepository = z.object({
  repository: z.string(),
  /** `planned`: a dry run. `refused`: a person has to confirm it. */
  outcome: z.enum(['planned', 'done', 'refused', 'failed']),
  kept: z.array(kept),
  keptBackups: z.number(),
  deleted: z.array(deleted),
  deletedBackups: z.number(),
  wal: z.array(expiredWal),
  /** Absent in reports of before there were dumps. */
  dumps: expiredDumps.default(noDumps),
  /** Why a person has to confirm it. */
  refusals: z.array(z.string()),
  notes: z.array(z.string()),
  /** Holds that had ended, and are gone. */
  endedHolds: z.number(),
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }).nullable(),
});
export type ExpiredRepository = z.infer<typeof expiredRepository>;

export const expireResult = z.object({ confirmed: z.boolean(), repositories: z.array(expiredRepository) });
export type ExpireResult = z.infer<typeof expireResult>;
