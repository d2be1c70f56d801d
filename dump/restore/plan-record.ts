import * as z from 'zod';
import { runIdPattern } from '../../core/ids.ts';
import { dumpRestoreOptions, restoreModes } from './options.ts';

/** `replace`: restored under another name, which changes places with the old database at the end. */
const planModes = [...restoreModes, 'replace'] as const;
export type PlanMode = (typeof planModes)[number];

/** A dump that lies in a file, and how it is opened: where its passphrase is, never what it is. */
const plannedFile = z.object({
  path: z.string(),
  passphrase: z.union([z.object({ file: z.string() }), z.object({ env: z.string() })]).nullable(),
  cipher: z.string().nullable(),
  /** Of a folder its toc.dat. Another file in its place is another dump than was planned. */
  seen: z.object({ bytes: z.number(), modifiedMs: z.number() }).optional(),
});
export type PlannedFile = z.infer<typeof plannedFile>;

const planned = {
  formatVersion: z.literal(1),
  id: z.string().regex(runIdPattern),
  createdAt: z.iso.datetime(),
  cluster: z.string(),
  repositoryIds: z.array(z.string()),
  /** One of the repositories, or a file of this host. */
  dump: z.union([z.object({ id: z.string() }), z.object({ file: plannedFile })]),
  /** Of the dump, for people. */
  source: z.object({
    what: z.string(),
    format: z.string(),
    database: z.string().nullable(),
    version: z.string().nullable(),
    takenAt: z.string().nullable(),
    plainBytes: z.number().nullable(),
  }),
  /** Name of the cluster whose server it goes to, in the configuration of this host. */
  server: z.string(),
  serverVersion: z.string(),
  /** Role to connect as in place of that cluster's own. */
  user: z.string().nullable(),
  /** It changes what is there: nobody starts it who has not said its name. */
  confirmed: z.union([z.literal('not needed'), z.object({ by: z.string(), at: z.iso.datetime() })]).nullable(),
  /** Roles that exist otherwise than the dump says, and what else of its globals is left alone. */
  conflicts: z.array(z.string()),
  holds: z.array(z.object({ repositoryId: z.string(), id: z.string() })),
  notes: z.array(z.string()),
};

/** The restore of a dump, decided in every detail before anything is changed. Lies beside the plans of physical restores. */
export const dumpPlan = z.object({
  kind: z.literal('dump'),
  ...planned,
  database: z.string(),
  mode: z.enum(planModes),
  options: dumpRestoreOptions,
});
export type DumpPlan = z.infer<typeof dumpPlan>;

/** What pg_dumpall wrote goes into a server, and not into a database: its roles alone, or all of it. */
export const wholePlan = z.object({
  kind: z.literal('whole'),
  ...planned,
  of: z.enum(['globals', 'cluster']),
  globals: z.enum(['missing', 'replace']),
  /** Roles that come to be. */
  makes: z.array(z.string()),
});
export type WholePlan = z.infer<typeof wholePlan>;

export type AnyDumpPlan = DumpPlan | WholePlan;
