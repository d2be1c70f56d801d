import * as z from 'zod';
import { sizeBytes, sizePattern } from '../size.ts';
import { absolutePath } from './values.ts';

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

export const repository = z.discriminatedUnion('type', [fileRepository, ossRepository, s3Repository]);
