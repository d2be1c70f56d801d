import * as z from 'zod';
import { runIdPattern } from '../core/ids.ts';
import type { Lsn } from '../core/lsn.ts';
import { fallback, phase } from '../core/report.ts';
import type { SegmentName } from '../core/segment.ts';
import { recoveryTarget } from '../core/target.ts';

const lsn = z
  .string()
  .regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/)
  .transform((text) => text as Lsn);
const segment = z
  .string()
  .regex(/^[0-9A-F]{24}$/)
  .transform((text) => text as SegmentName);

/** PostgreSQL's settings for where recovery stops; exactly one of them is set. */
export const recoverySettings = [
  'recovery_target_time',
  'recovery_target_lsn',
  'recovery_target_xid',
  'recovery_target_name',
  'recovery_target',
] as const;

/**
 * A restore, decided in every detail before anything is written: what was asked, from which backup, along which WAL, to where.
 * It is frozen: what is archived later, or changes in the config, does not change it.
 */
export const restorePlan = z.object({
  formatVersion: z.literal(1),
  id: z.string().regex(runIdPattern),
  createdAt: z.iso.datetime(),
  cluster: z.string(),
  repositoryId: z.string(),
  /** Of all that it was planned with: any of them may serve it. */
  repositoryIds: z.array(z.string()).default([]),
  /** As it was asked for. */
  target: recoveryTarget,
  /** As PostgreSQL is told. `timeline` is a number, or `current` where the only timeline has no history file. */
  recovery: z.object({
    setting: z.enum(recoverySettings),
    value: z.string(),
    inclusive: z.boolean(),
    timeline: z.union([z.number().int().positive(), z.literal('current')]),
  }),
  /** Where the archived WAL says that recovery will stop: the record that decides, and the newest commit that is in. Times are ISO-8601 UTC. */
  expected: z.object({ lsn: lsn.nullable(), lastCommitAt: z.string().nullable() }),
  /** The data directory to be. */
  into: z.string(),
  backupId: z.string(),
  era: z.string(),
  major: z.number().int(),
  inventory: z.object({
    era: z.string(),
    segmentBytes: z.number().int(),
    segments: z.array(z.object({ name: segment, tag: z.string() })),
    histories: z.array(z.object({ timeline: z.number().int(), tag: z.string() })),
  }),
  /** Each is put inside the data directory, wherever it lay on the primary. */
  tablespaces: z.array(z.object({ oid: z.string().regex(/^\d+$/), from: z.string(), to: z.string() })),
  /** Those that the replayed WAL creates, at `lsn`: inside the data directory, too. */
  created: z.array(z.object({ oid: z.string().regex(/^\d+$/), lsn, from: z.string(), to: z.string() })).default([]),
  /** What recovery with queries demands at least. */
  minimums: z.record(z.string(), z.number().int()),
  /** Free space that the folder needs before it starts. */
  requiredBytes: z.number().int(),
  /** What keeps `expire` from taking what it needs. */
  holds: z.array(z.object({ repositoryId: z.string(), id: z.string() })).default([]),
  /** What a person should know before they start it; sentences. */
  notes: z.array(z.string()),
});
export type RestorePlan = z.infer<typeof restorePlan>;

/** Where recovery came to a stop. `lsn` is where the last replayed record begins. Times are ISO-8601 UTC. */
export const reached = z.object({
  lsn: lsn.nullable(),
  /** Commit time of the newest transaction that is in. */
  lastCommitAt: z.string().nullable(),
  /** PostgreSQL's own words, such as `recovery stopping before commit of transaction 732, time …`. */
  reason: z.string().nullable(),
});
export type Reached = z.infer<typeof reached>;

export const restoreResult = z.object({
  planId: z.string(),
  backupId: z.string(),
  /** As it was asked for, in the form that `--to` takes. */
  target: z.string(),
  reached,
  dataDir: z.string(),
  phases: z.array(phase),
  /** Starts the restored server. */
  startCommand: z.string(),
  /** Until this is run in it, the restored server archives nothing. */
  openingStatement: z.string(),
  notes: z.array(z.string()),
  /** What was missing or damaged in the nearest repository, and taken from another; the first hundred of `fallbackCount`. */
  fallbacks: z.array(fallback).default([]),
  fallbackCount: z.number().int().default(0),
  finishedAt: z.iso.datetime(),
});
export type RestoreResult = z.infer<typeof restoreResult>;

/** `restore`: a server to keep. `sandbox`: a copy that is asked some questions, paused in recovery, and thrown away. */
export type RestoreMode = 'restore' | 'sandbox';
