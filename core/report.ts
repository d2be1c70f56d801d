import * as z from 'zod';

/** One attempt at anything, failures too. `result` is what the operation has to tell beyond these fields. */
export const report = z.object({
  formatVersion: z.literal(1),
  id: z.string(),
  uuid: z.uuid(),
  operation: z.enum(['backup', 'dump', 'drill', 'restore', 'copy', 'verify', 'walSync', 'expire']),
  cluster: z.string(),
  host: z.string(),
  port: z.number().int().nullable(),
  database: z.string().nullable(),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  durationSeconds: z.number(),
  mode: z.string(),
  tool: z.string(),
  status: z.enum(['SUCCESS', 'FAILED', 'CANCELLED']),
  errorMessage: z.string().nullable(),
  local: z.object({
    file: z.string().nullable(),
    globalsFile: z.string().nullable(),
    checksumSha256: z.string().nullable(),
    sizeBytes: z.number().nullable(),
  }),
  remote: z.object({ urls: z.array(z.string()) }),
  workflowId: z.string().nullable(),
  runId: z.string().nullable(),
  requestedBy: z.string().nullable(),
  reason: z.string().nullable(),
  result: z.record(z.string(), z.unknown()),
});
export type Report = z.infer<typeof report>;

/**
 * A report, and where it lies: in the repository of this name, otherwise in the nearest. `key` null: it tells nothing new, and
 * was not filed.
 */
export type FiledReport = { key: string | null; repository?: string; report: Report };

export const phase = z.object({ name: z.string(), seconds: z.number() });
export type Phase = z.infer<typeof phase>;

export const drillCheckResult = z.object({ name: z.string(), passed: z.boolean().nullable(), detail: z.string() });
export type DrillCheckResult = z.infer<typeof drillCheckResult>;

/** Something that the nearest repository should have had whole, and another one gave. */
export const fallback = z.object({
  /** The object's key, or what else was asked for. */
  what: z.string(),
  /** Name of the repository that did not have it whole. */
  missingIn: z.string(),
  /** What was wrong there. */
  code: z.string(),
  message: z.string(),
  /** Name of the repository that it was taken from. */
  takenFrom: z.string(),
});
export type Fallback = z.infer<typeof fallback>;

/** What a drill came to. `passed: null` of a check: it could not run, which makes the verdict inconclusive. */
export const drillResult = z.object({
  verdict: z.enum(['passed', 'failed', 'inconclusive']),
  kind: z.enum(['probe', 'dump']),
  backupId: z.string().nullable(),
  /** The dump that was restored, and what of: null where the drill is no drill of a dump. */
  dump: z
    .object({
      id: z.string(),
      database: z.string().nullable(),
      tier: z.string(),
      storedBytes: z.number(),
      /** When its snapshot was taken, and where its record lies. */
      takenAt: z.string().optional(),
      file: z.string().optional(),
    })
    .nullable()
    .default(null),
  /** What came out of a dump: tables found, of those that its list has, and the rows of the largest; null rows: it took too long. */
  restored: z
    .object({
      tables: z.object({ found: z.number(), expected: z.number().nullable() }),
      largest: z.array(z.object({ schema: z.string(), table: z.string(), rows: z.number().nullable() })),
    })
    .nullable()
    .optional(),
  target: z.string().nullable(),
  reached: z.string().nullable(),
  /** Behind the last WAL that was replayed and looked at; null where none was, and in older reports. */
  reachedWal: z.object({ timeline: z.number(), lsn: z.string() }).nullable().default(null),
  phases: z.array(phase),
  rtoSeconds: z.number().nullable(),
  rpoSeconds: z.number().nullable(),
  rpoReason: z.string().nullable(),
  targetErrorSeconds: z.number().nullable(),
  checks: z.array(drillCheckResult),
  /** One line: what decided the verdict. Null when it passed. */
  verdictReason: z.string().nullable().default(null),
  /** What ended it early, with facts and hint. Null where it went through. */
  error: z
    .object({
      code: z.string(),
      message: z.string(),
      facts: z.record(z.string(), z.unknown()),
      hint: z.string().nullable(),
    })
    .nullable()
    .default(null),
  /** The facts that rpoSeconds was computed from. Null where it is null. */
  rpoMeasured: z
    .object({
      /** The server's clock once the frontier had been read, before the drill wrote anything. */
      startedAt: z.iso.datetime(),
      frontier: z.string(),
      heartbeatSequence: z.number(),
      heartbeatAt: z.iso.datetime(),
    })
    .nullable()
    .default(null),
  /** `rpoSeconds` null: none was set for what was drilled. */
  objectives: z
    .object({ rpoSeconds: z.number().nullable(), rtoSeconds: z.number().nullable() })
    .nullable()
    .default(null),
  /** What a person should know beside the verdict, such as leftovers of a killed drill that were removed. */
  notes: z.array(z.string()).default([]),
  /** What the restore took from elsewhere than the nearest repository; the first hundred. */
  fallbacks: z.array(fallback).default([]),
});
export type DrillResult = z.infer<typeof drillResult>;

/** Phases of a drill that are no part of a real restore: rtoSeconds is the time from the first of the others to the first answered query. */
export const phasesOutsideRto: readonly string[] = [
  'preflight',
  'hold',
  'probe',
  'archive',
  'count',
  'checks',
  'teardown',
];

/** What a committed backup came to. */
export const backupResult = z.object({
  id: z.string(),
  type: z.enum(['full', 'incremental']),
  sizeBytes: z.number(),
  storedBytes: z.number(),
  durationSeconds: z.number(),
  era: z.string(),
  timeline: z.number(),
  startLsn: z.string(),
  stopLsn: z.string(),
  /** Server clock: the earliest time that this backup can be restored to. */
  stoppedAt: z.iso.datetime(),
  cipher: z.string(),
  serverVersion: z.string(),
  verifiedFiles: z.number(),
  /** Names of the repositories that it is in, with all the WAL it needs. */
  repositories: z.array(z.string()).default([]),
  /** Repositories that it was meant to get into, too, and why it did not. */
  dropped: z.array(z.object({ repository: z.string(), code: z.string(), message: z.string() })).default([]),
  /** What a person should know: what is not in it, and which server it was taken from. */
  notes: z.array(z.string()).default([]),
});
export type BackupResult = z.infer<typeof backupResult>;

/** What a committed dump came to. */
export const dumpResult = z.object({
  id: z.string(),
  kind: z.enum(['database', 'globals', 'cluster']),
  database: z.string().nullable(),
  tier: z.string(),
  format: z.string(),
  compression: z.string(),
  /** As pg_dump wrote it. */
  sizeBytes: z.number(),
  storedBytes: z.number(),
  globalsBytes: z.number().nullable(),
  /** SHA-256 of the dump as pg_dump wrote it; of a directory, of the tar that it is stored as. */
  sha256: z.string(),
  /** What pg_restore --list counts; null for plain SQL. */
  entries: z.number().nullable(),
  durationSeconds: z.number(),
  /** The server's clock when its snapshot was taken, or before. */
  startedAt: z.iso.datetime(),
  cipher: z.string(),
  serverVersion: z.string().nullable(),
  toolVersion: z.string().nullable(),
  repositories: z.array(z.string()).default([]),
  dropped: z.array(z.object({ repository: z.string(), code: z.string(), message: z.string() })).default([]),
  /** Files that were written beside the repository. */
  exported: z.array(z.string()).default([]),
  /** What a person should look at: the dump is half as large as the last one, … Sentences. */
  findings: z.array(z.string()).default([]),
  notes: z.array(z.string()).default([]),
});
export type DumpResult = z.infer<typeof dumpResult>;

const counted = z.object({ objects: z.number(), bytes: z.number() });

/** How far a copy is behind its source, at the end of the run. */
const copyLag = z.object({
  /** Between the newest heartbeats that the two hold; null, with the reason, where this host knows none. */
  seconds: z.number().nullable(),
  reason: z.string().nullable(),
  /** WAL objects of the source that the target lacks, and their stored bytes. */
  segments: z.number(),
  bytes: z.number(),
  backups: z.number(),
  dumps: z.number().default(0),
  /** Where WAL without a gap ends. Null: there is none, or it cannot be told. */
  from: z.object({ timeline: z.number(), lsn: z.string() }).nullable(),
  to: z.object({ timeline: z.number(), lsn: z.string() }).nullable(),
});
export type CopyLag = z.infer<typeof copyLag>;

/** An object that was not copied, and why. `permanent`: trying again does not mend it. */
const copyRefusal = z.object({
  key: z.string(),
  code: z.string(),
  message: z.string(),
  permanent: z.boolean(),
});
export type CopyRefusal = z.infer<typeof copyRefusal>;

/** What the attempt to copy to one repository came to. */
const copyTarget = z.object({
  to: z.string(),
  /** `complete`: it holds all that the source held when the run began; `incomplete`: all but what was refused; `failed`: see error. */
  outcome: z.enum(['complete', 'incomplete', 'failed']),
  seconds: z.number(),
  copied: counted,
  /** What was there already. */
  skipped: counted,
  /** Ids of the backups that this run made whole there. */
  backups: z.array(z.string()),
  /** The same of dumps. */
  dumps: z.array(z.string()).default([]),
  /** The first hundred. */
  refused: z.array(copyRefusal),
  refusedObjects: z.number(),
  notes: z.array(z.string()),
  lag: copyLag.nullable(),
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }).nullable(),
});
export type CopyTarget = z.infer<typeof copyTarget>;

/** What a copy came to: each target had an attempt of its own. */
export const copyResult = z.object({ from: z.string(), targets: z.array(copyTarget) });
export type CopyResult = z.infer<typeof copyResult>;
