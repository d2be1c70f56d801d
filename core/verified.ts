import * as z from 'zod';
import { phase } from './report.ts';

/** A place in the WAL, and the time that belongs to it where one is known. */
const walPosition = z.object({ lsn: z.string(), at: z.iso.datetime().nullable() });
export type WalPosition = z.infer<typeof walPosition>;

/** What cannot be restored any more because of one finding, as far as nothing else serves. */
export const affected = z.object({
  /** Ids of backups that cannot be restored at all. */
  backups: z.array(z.string()),
  /** Ids of backups that can be restored, but to no point behind `from`. */
  cutShort: z.array(z.string()),
  /** Ids of dumps that cannot be restored at all. */
  dumps: z.array(z.string()).default([]),
  /** Ids of dumps that can be restored, and their globals cannot. */
  globals: z.array(z.string()).default([]),
  /** No point of this era behind `from` and before `to` can be restored. Null: nothing is lost but the backups named. */
  from: walPosition.nullable(),
  /** From here on points can be restored again: the end of the next backup. Null with `from` set: from no backup that there is. */
  to: walPosition.nullable(),
});
export type Affected = z.infer<typeof affected>;

export const repaired = z.object({
  outcome: z.enum(['repaired', 'retained', 'no-source', 'failed']),
  /** Where the whole copy came from. */
  from: z.string().nullable(),
  detail: z.string(),
});
export type Repaired = z.infer<typeof repaired>;

/**
 * damaged: its bytes are not what they should be · missing: something that is there needs it · conflict: one name, two
 * contents · foreign: the layout does not know it; it does no harm to a restore.
 */
const findingKind = z.enum(['damaged', 'missing', 'conflict', 'foreign']);
export type FindingKind = z.infer<typeof findingKind>;

export const finding = z.object({
  /** Key of the object; of a missing WAL segment, whose tag nobody knows, the key up to its name. */
  object: z.string(),
  /** The last of a run of missing segments that begins with `object`. */
  through: z.string().nullable().default(null),
  /** How many objects it tells of. */
  objects: z.number().int().default(1),
  kind: findingKind,
  why: z.string(),
  affects: affected,
  repair: repaired.nullable().default(null),
});
export type Finding = z.infer<typeof finding>;

const verdict = z.enum(['passed', 'failed', 'inconclusive']);

/** What one repository came to. */
const verifiedRepository = z.object({
  repository: z.string(),
  repositoryId: z.string().nullable(),
  verdict,
  verdictReason: z.string().nullable(),
  findings: z.array(finding),
  /** How many more there are than `findings` names. */
  findingsLeftOut: z.number().int().default(0),
  /** How many objects nothing knows of; the first so many are among the findings. */
  foreignObjects: z.number().int().default(0),
  /** Backups, WAL segments, dumps: all there are, and how much of it this run read back. */
  objects: z.number().int(),
  bytes: z.number(),
  readObjects: z.number().int(),
  readBytes: z.number(),
  /** With a share: which of how many slots this run read. The next run takes the next one, unless this one was cut short. */
  rotation: z.object({ slots: z.number().int(), slot: z.number().int() }).nullable(),
  /** Whether it read all of its share. */
  complete: z.boolean().default(false),
  /** What could not be read, so that nobody knows how it is. */
  unread: z.array(z.object({ object: z.string(), why: z.string() })),
  /** Ids of the backups that were unpacked and that pg_verifybackup found whole. */
  unpacked: z.array(z.string()).default([]),
  /** Ids of the dumps that pg_restore read to their end; of SQL, whose end was found. */
  dumpsRead: z.array(z.string()).default([]),
  notes: z.array(z.string()),
});
export type VerifiedRepository = z.infer<typeof verifiedRepository>;

/** What `verify` came to. Failed: there is damage that was not repaired. Inconclusive: something could not be looked at. */
export const verifyResult = z.object({
  verdict,
  verdictReason: z.string().nullable(),
  share: z.number(),
  repair: z.boolean(),
  repositories: z.array(verifiedRepository),
  phases: z.array(phase),
  notes: z.array(z.string()).default([]),
});
export type VerifyResult = z.infer<typeof verifyResult>;

/** Percent of all bytes that the run read back, to a tenth; 100 where there are none. */
export function percentRead({ bytes, readBytes }: Pick<VerifiedRepository, 'bytes' | 'readBytes'>): number {
  return bytes === 0 ? 100 : Math.floor((1000 * readBytes) / bytes) / 10;
}
