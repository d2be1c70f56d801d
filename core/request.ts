import * as z from 'zod';
import { databaseName, dumpKinds, dumpOptionFields } from './dump.ts';
import { isName } from './names.ts';

/*
 * What starts a workflow: one small plain object that a person can type into the Temporal UI. It names things that the
 * host's own config defines; it never holds a path, a connection or a secret. Unknown fields are ignored, fields are
 * only ever added.
 */

const cluster = z
  .string()
  .refine(
    isName,
    'not a cluster name: 1 to 63 lower-case letters, digits and dashes, beginning with a letter or digit',
  );

const line = z.string().max(500, 'at most 500 characters');

const asked = {
  cluster,
  /** Why, in a person's words; stands in the report. */
  reason: line.nullish().transform((text) => text ?? null),
  /** Who asks; stands in the report. */
  requestedBy: line.nullish().transform((text) => text ?? null),
  /** Fail at once when the cluster is busy, in place of waiting for it. */
  noWait: z.boolean().default(false),
};

export const backupRequest = z.object(asked);

/** A label of dumps that retention goes by. */
const tier = z.string().refine(isName, 'not a name: 1 to 63 lower-case letters, digits and dashes');

const nullable = <Fields extends Record<string, z.ZodType>>(fields: Fields) =>
  Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, field.nullish()])) as {
    [K in keyof Fields]: z.ZodOptional<z.ZodNullable<Fields[K]>>;
  };

export const dumpRequest = z.object({
  ...asked,
  /** What a dump is called that somebody asks for: scheduled ones say daily, weekly, … */
  tier: tier.default('manual'),
  /** Without it, those of the cluster's configuration. */
  databases: z
    .array(databaseName)
    .min(1)
    .max(1000)
    .nullish()
    .transform((names) => names ?? null),
  /** `globals`: roles, tablespaces and settings alone; `cluster`: the whole server by pg_dumpall. */
  kind: z.enum(dumpKinds).default('database'),
  prefer: z
    .enum(['primary', 'standby'])
    .nullish()
    .transform((wanted) => wanted ?? null),
  ...nullable(dumpOptionFields),
});
export type DumpRequest = z.output<typeof dumpRequest>;

export const drillKinds = ['probe', 'dump'] as const;

export const drillRequest = z.object({
  ...asked,
  /** `probe`: a restore to a point between two markers; `dump`: a dump restored into a scratch server. */
  kind: z.enum(drillKinds).default('probe'),
  /** Of `dump`: its id, or a unique beginning of it; without it, the newest. */
  dump: line.nullish().transform((text) => text ?? null),
  /** Of `dump`: the newest of this database. */
  database: databaseName.nullish().transform((text) => text ?? null),
});
export type DrillRequest = z.output<typeof drillRequest>;

export const restoreRequest = z.object({
  ...asked,
  /** Id of a plan that `restore plan` froze on the host; it alone says what is restored, and where to. */
  plan: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,127}$/, 'not the id of a restore plan'),
  /** Name of the host that it was made on; needed where the cluster has several. */
  host: z
    .string()
    .refine(isName, 'not the name of a host')
    .nullish()
    .transform((name) => name ?? null),
});
export type RestoreRequest = z.output<typeof restoreRequest>;

const repository = z
  .string()
  .refine(isName, 'not the name of a repository')
  .nullish()
  .transform((name) => name ?? null);

export const copyRequest = z.object({
  ...asked,
  /** Name of the only repository to copy to; without it, to all others of the cluster. */
  to: repository,
  /** Name of the repository to copy from; without it, the nearest. */
  from: repository,
});

/** Percent: 10,000 runs read everything once. Smaller ones would never come round. */
export const leastShare = 0.01;

export const verifyRequest = z.object({
  ...asked,
  /** Name of the only repository to look at; without it, all of the cluster's. */
  repository: z
    .string()
    .refine(isName, 'not the name of a repository')
    .nullish()
    .transform((name) => name ?? null),
  /** Percent of the objects whose bytes are read; names are always checked. The share moves on with each run. */
  share: z.number().min(leastShare).max(100).default(100),
  /** Unpack a backup into a scratch folder of the host and run pg_verifybackup on it; have pg_restore read a dump to its end. */
  restore: z.boolean().default(false),
  /** Which one: its id, or a unique beginning of it; without it, the newest backup, and the newest dump of each database. */
  backup: line.nullish().transform((text) => text ?? null),
  /** Replace what is damaged or missing by whole copies from the cluster's other repositories. */
  repair: z.boolean().default(false),
});
export type VerifyRequest = z.output<typeof verifyRequest>;

/** Makes sure that the WAL written until now is in the repositories, and compares with the objective. */
export const walSyncRequest = z.object(asked);

export const expireRequest = z.object({
  ...asked,
  /** Name of the only repository to delete in; without it, all of the cluster's. */
  repository,
  /** A person says so: delete also more than half of what is there. */
  confirmed: z.boolean().default(false),
});
export type ExpireRequest = z.output<typeof expireRequest>;

export const operations = ['backup', 'dump', 'drill', 'restore', 'copy', 'verify', 'walSync', 'expire'] as const;
export type Operation = (typeof operations)[number];

/** Asks whether a cluster can be backed up, on each of its hosts. Leaves no report. */
export const checkRequest = z.object({ cluster });

/** What a worker can be asked for: all that leaves a report, and `check`. */
export const features = [...operations, 'check'] as const;
export type Feature = (typeof features)[number];

/** What each may be asked. */
export const requestSchemas = {
  backup: backupRequest,
  dump: dumpRequest,
  drill: drillRequest,
  restore: restoreRequest,
  copy: copyRequest,
  verify: verifyRequest,
  walSync: walSyncRequest,
  expire: expireRequest,
  check: checkRequest,
} satisfies Record<Feature, z.ZodType>;
export type Requests = { [F in Feature]: z.output<(typeof requestSchemas)[F]> };

/** The type of its workflow. */
export const workflowTypes: Record<Feature, string> = {
  backup: 'backup',
  dump: 'dump',
  drill: 'drill',
  restore: 'restore',
  copy: 'copyOffsite',
  verify: 'verify',
  walSync: 'walSync',
  expire: 'expire',
  check: 'check',
};
