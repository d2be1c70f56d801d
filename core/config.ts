import * as z from 'zod';
import { durationPattern, durationSeconds } from './duration.ts';
import { isName } from './names.ts';
import { sizeBytes, sizePattern } from './size.ts';
import { writtenNames } from './written.ts';

/*
 * The whole configuration, declared once: validation, defaults and docs/configuration.md are made from this schema.
 * Every key has one reader; unknown keys are errors.
 */

const name = z
  .string()
  .refine(isName, '1 to 63 lower-case letters, digits and dashes, beginning with a letter or digit')
  .meta({ title: 'name' });
const absolutePath = z.string().regex(/^\//, 'an absolute path, beginning with /').meta({ title: 'absolute path' });
const port = z.number().int().min(1).max(65_535);
const duration = z
  .string()
  .regex(durationPattern, 'a duration such as 30s, 5m, 1h or 7d')
  .meta({ title: 'duration' })
  .transform((text) => durationSeconds(text) as number);

const host = z
  .strictObject({
    state: absolutePath
      .optional()
      .describe(
        'State folder of this host: spools, plans, drills, logs. Default: /var/lib/pgproof, or $XDG_STATE_HOME/pgproof for an ordinary user.',
      ),
  })
  .describe('One machine that runs a pgproof worker. The name is its hostname, or what --host says.');

const bucketName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'a bucket name: 3 to 63 lower-case letters, digits, dots and dashes')
  .meta({ title: 'bucket name' })
  .describe('The bucket. It must exist: pgproof makes none.');
const region = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]*$/, 'a region such as cn-hangzhou or eu-central-1')
  .meta({ title: 'region' });
const prefix = z
  .string()
  .regex(/^(?:[A-Za-z0-9_][A-Za-z0-9._-]*\/)*$/, "a prefix that ends in '/', such as backups/pgproof/")
  .meta({ title: 'prefix' })
  .default('')
  .describe("Where in the bucket the repository lies; ends in '/'. Empty: at its top.");
/** Bytes travel in clear only where they do not leave the machine. */
const endpointUrl = z
  .string()
  .regex(
    /^(?:https:\/\/[^/\s?#@]+|http:\/\/(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?)\/?$/,
    'an address that begins with https:// (http:// only to this machine), without a path',
  )
  .meta({ title: 'https address' });
const bytesPerSecond = z
  .string()
  .regex(sizePattern, 'a size such as 500KB, 20MB or 1GiB')
  .meta({ title: 'size' })
  .transform((text) => sizeBytes(text) as number);

const limits = z
  .strictObject({
    parallel: z
      .number()
      .int()
      .min(1)
      .max(64)
      .default(8)
      .describe(
        'Requests under way at once, from this process; fewer for a while after the store said 503 or 429. A read counts until its answer begins.',
      ),
    upload: bytesPerSecond.optional().describe('Bytes a second that this process sends, over all its requests.'),
    download: bytesPerSecond.optional().describe('Bytes a second that this process reads, over all its requests.'),
  })
  .prefault({})
  .describe('What this host may ask of the store.');

const credentialsFile = z.strictObject({
  file: absolutePath.describe(
    'A JSON file, mode 0600: {"accessKeyId", "accessKeySecret", "securityToken"?, "expiration"?}. Read again when it changes.',
  ),
});

const fileRepository = z.strictObject({
  type: z.literal('file').describe('A folder of this host, or one that is mounted there.'),
  path: absolutePath.describe('The folder. It must hold a repository already, or be empty or absent.'),
});

const ossRepository = z.strictObject({
  type: z.literal('oss').describe('A bucket of Alibaba Cloud OSS.'),
  bucket: bucketName,
  region: region.describe('Region of the bucket, such as cn-hangzhou.'),
  prefix,
  endpoint: z
    .union([z.enum(['public', 'internal', 'accelerate']), endpointUrl])
    .default('public')
    .describe(
      "`public`, `internal` (from inside Alibaba Cloud), `accelerate`, or an address, such as your own domain's.",
    ),
  cname: z
    .boolean()
    .default(false)
    .describe(
      'The address is a domain bound to this one bucket. Buckets new since 2025 in mainland China need one in public.',
    ),
  credentials: z
    .union([
      credentialsFile,
      z.strictObject({
        ecsRole: z
          .string()
          .min(1)
          .describe("Name of the RAM role of this ECS instance; its keys come from the instance's metadata."),
      }),
      z.strictObject({
        assumeRole: z
          .string()
          .regex(/^acs:ram::\d+:role\/.+$/, 'acs:ram::<account>:role/<name>')
          .describe('ARN of a RAM role that is assumed by STS, with the keys of the environment.'),
      }),
    ])
    .optional()
    .describe('Without it: OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and OSS_SESSION_TOKEN of the environment.'),
  storageClass: z
    .enum(['Standard', 'IA'])
    .optional()
    .describe(
      "Storage class of new objects; the bucket's own where it is not given. Archive classes cannot be read at once.",
    ),
  encryption: z
    .strictObject({
      algorithm: z.enum(['AES256', 'KMS', 'SM4']).describe('What the store encrypts with.'),
      kmsKeyId: z.string().min(1).optional().describe("Key in the store's key service; without it the store's own."),
    })
    .optional()
    .describe('Encryption by the store, besides our own.'),
  ca: absolutePath.optional().describe('PEM file of a certificate authority to trust besides the usual ones.'),
  limits,
});

const s3Repository = z.strictObject({
  type: z.literal('s3').describe('A bucket of any store that speaks S3.'),
  bucket: bucketName,
  region: region.default('us-east-1').describe('Region of the bucket.'),
  prefix,
  endpoint: endpointUrl.optional().describe("Address of the store; without it Amazon's own for the region."),
  pathStyle: z
    .boolean()
    .default(false)
    .describe('Bucket in the path rather than in the host name. Many self-hosted stores need true; OSS refuses it.'),
  credentials: credentialsFile
    .optional()
    .describe("Without it: what Amazon's SDK finds: environment, ~/.aws, the role of the instance or container."),
  storageClass: z
    .enum(['STANDARD', 'STANDARD_IA', 'ONEZONE_IA', 'INTELLIGENT_TIERING', 'GLACIER_IR'])
    .optional()
    .describe("Storage class of new objects; the bucket's own where it is not given."),
  encryption: z
    .strictObject({
      algorithm: z.enum(['AES256', 'aws:kms']).describe('What the store encrypts with.'),
      kmsKeyId: z.string().min(1).optional().describe("Key in the store's key service; without it the store's own."),
    })
    .optional()
    .describe('Encryption by the store, besides our own.'),
  ca: absolutePath.optional().describe('PEM file of a certificate authority to trust besides the usual ones.'),
  limits,
});

const repository = z.discriminatedUnion('type', [fileRepository, ossRepository, s3Repository]);

const key = z.strictObject({
  file: absolutePath.describe('The key file, made by `pgproof key generate`; mode 0600.'),
});

const password = z
  .union([
    z.strictObject({ file: absolutePath.describe('A file that holds the password, mode 0600.') }),
    z.strictObject({
      env: z
        .string()
        .regex(/^[A-Za-z_]\w*$/)
        .describe('An environment variable that holds the password.'),
    }),
  ])
  .describe(
    'Where the password is. Without it: .pgpass, or none (peer, trust, certificates). A plain password is refused.',
  );

const connection = z
  .strictObject({
    socket: absolutePath.optional().describe("Folder of the server's Unix socket."),
    host: z.string().min(1).optional().describe('Host name or address, for a connection by TCP.'),
    port: port.default(5432).describe('Port of the server.'),
    user: z
      .string()
      .min(1)
      .default('pgproof')
      .describe('Role that pgproof connects as; `init` prints the SQL that makes it.'),
    database: z.string().min(1).default('postgres').describe('Database that holds the schema `pgproof`.'),
    password: password.optional(),
  })
  .refine((value) => (value.socket === undefined) !== (value.host === undefined), 'give either socket or host')
  .describe('How this host reaches the server.');

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

const objectives = z.strictObject({
  rpo: duration
    .prefault('5m')
    .describe(
      'Recovery point objective: how many seconds of work may be lost. `check` holds archive_timeout against it.',
    ),
  rto: duration
    .optional()
    .describe('Recovery time objective: how long a restore may take; reports compare it with what was measured.'),
});

const drillCheck = z.strictObject({
  name: name.describe('Stands in the report.'),
  database: z.string().min(1).describe('Database of the restored server to ask.'),
  sql: z.string().min(1).describe('A query; the check passes when the first column of its only row is true.'),
});

const cluster = z.strictObject({
  host: name.describe('Name of the host the server runs on.'),
  connection,
  tools: z
    .strictObject({
      bin: z
        .union([z.literal('auto'), absolutePath])
        .default('auto')
        .describe("Folder of PostgreSQL's programs; `auto` finds the server's major."),
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
  objectives: objectives.prefault({}),
  drills: z
    .strictObject({
      checks: z.array(drillCheck).default([]).describe('Questions a restored server must answer in every drill.'),
    })
    .prefault({}),
});

const embedded = z.strictObject({
  port: port.default(7243).describe('Port of the embedded server of `pgproof up`, on 127.0.0.1.'),
  uiPort: port.default(8243).describe('Port of its web UI, on 127.0.0.1.'),
});

const names = <T extends z.ZodType>(value: T) => z.record(name, value);

export const configSchema = z
  .strictObject({
    fleet: name.default('main').describe('Name of the fleet: queues are named after it.'),
    hosts: names(host).describe('The machines of the fleet.'),
    repositories: names(repository).describe('Where backups live.'),
    keys: names(key).default({}).describe('Key files of this host.'),
    clusters: names(cluster).describe('The PostgreSQL clusters to protect.'),
    temporal: z
      .strictObject({ embedded: embedded.prefault({}) })
      .prefault({})
      .describe('The embedded Temporal server. For your own, set TEMPORAL_ADDRESS or a Temporal profile; it wins.'),
  })
  .superRefine((config, context) => {
    for (const [clusterName, value] of Object.entries(config.clusters)) {
      const refer = (path: string, kind: 'hosts' | 'repositories' | 'keys', target: string) => {
        if (Object.hasOwn(config[kind], target)) return;
        context.addIssue({
          code: 'custom',
          path: ['clusters', clusterName, path],
          message: `'${target}' is not defined under ${kind}`,
          params: { isSentence: true },
          input: target,
        });
      };
      refer('host', 'hosts', value.host);
      for (const target of value.repositories) refer('repositories', 'repositories', target);
      if (value.key !== undefined) refer('key', 'keys', value.key);
      if (value.walKey !== undefined) refer('walKey', 'keys', value.walKey);
      const written = writtenNames(value);
      for (const target of value.required ?? []) {
        if (written.includes(target)) continue;
        context.addIssue({
          code: 'custom',
          path: ['clusters', clusterName, 'required'],
          message: `'${target}' is none of the repositories that are written to (write: ${value.write}: ${written.join(', ')})`,
          input: target,
        });
      }
      if (value.walKey !== undefined && value.key === undefined)
        context.addIssue({
          code: 'custom',
          path: ['clusters', clusterName, 'walKey'],
          message: 'needs key: a cluster whose backups are not encrypted has no separate key for its WAL',
          params: { isSentence: true },
          input: value.walKey,
        });
    }
  });

export type Config = z.output<typeof configSchema>;
export type ClusterConfig = Config['clusters'][string];
export type ConnectionConfig = ClusterConfig['connection'];
export type RepositoryConfig = Config['repositories'][string];
export type OssConfig = Extract<RepositoryConfig, { type: 'oss' }>;
export type S3Config = Extract<RepositoryConfig, { type: 's3' }>;
export type BucketConfig = OssConfig | S3Config;
export type DrillCheckConfig = ClusterConfig['drills']['checks'][number];
