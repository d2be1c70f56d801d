import type { BucketConfig } from '../../core/config.ts';
import { abortAfterDays, type PolicyDocument, type PolicyStatement, type StorePolicy } from './document.ts';

/** For IAM, as Amazon and most stores that speak S3 have it. */
export function s3Policy(config: BucketConfig): StorePolicy {
  const { bucket, prefix } = config;
  const objects = (pattern: string) => [`${arn(config)}:s3:::${bucket}/${pattern}`];
  const rule = {
    ID: 'pgproof-abandoned-uploads',
    Status: 'Enabled',
    Filter: { Prefix: prefix },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: abortAfterDays },
  };
  return {
    writer: documentOf([
      ...readers(config),
      statement(
        'PgproofWrite',
        [
          's3:PutObject',
          's3:AbortMultipartUpload',
          's3:DeleteObject',
          's3:GetObjectRetention',
          's3:GetObjectLegalHold',
        ],
        objects(`${prefix}*`),
      ),
      statement('PgproofUploads', ['s3:ListBucketMultipartUploads'], [`${arn(config)}:s3:::${bucket}`]),
      ...kms(config),
    ]),
    restore: documentOf([
      ...readers(config),
      statement(
        'PgproofReports',
        ['s3:PutObject'],
        [...objects(`${prefix}*/reports/*`), ...objects(`${prefix}*/holds/*`)],
      ),
      ...kms(config),
    ]),
    lifecycle: {
      format: 'json',
      document: `${JSON.stringify({ Rules: [rule] }, null, 2)}\n`,
      command: `aws s3api put-bucket-lifecycle-configuration --bucket ${bucket} --lifecycle-configuration file://lifecycle.json`,
    },
    advice: [
      'A bucket has one lifecycle configuration, and putting one replaces it: add the rule to those that are there (aws s3api get-bucket-lifecycle-configuration).',
      `No rule may expire objects below '${prefix}', or move them to an archive class: only pgproof knows which objects a backup needs.`,
      'Object lock is switched on with the bucket and needs versioning. In compliance mode nobody removes a version before its time, not even the account; choose fewer days than backups are kept.',
      'In a versioned bucket what pgproof removes stays as an older version and is paid for: let a rule expire noncurrent versions after as many days as a mistake may need to be found. s3:DeleteObjectVersion is not in these policies, so that older versions survive a stolen key.',
      's3:ListBucket is limited to the prefix where a request names one (StringLikeIfExists): with StringLike a store answers 403 for an object that is missing, and pgproof could not tell it from one that it may not read.',
    ],
  };
}

function readers(config: BucketConfig): PolicyStatement[] {
  const { bucket, prefix } = config;
  const whole = [`${arn(config)}:s3:::${bucket}`];
  const list = statement('PgproofList', ['s3:ListBucket'], whole);
  return [
    prefix === '' ? list : { ...list, Condition: { StringLikeIfExists: { 's3:prefix': [`${prefix}*`] } } },
    statement(
      'PgproofSettings',
      ['s3:GetBucketVersioning', 's3:GetBucketObjectLockConfiguration', 's3:GetLifecycleConfiguration'],
      whole,
    ),
    statement('PgproofRead', ['s3:GetObject'], [`${arn(config)}:s3:::${bucket}/${prefix}*`]),
  ];
}

/** The store's own key needs no right; one of the account's does. */
function kms(config: BucketConfig): PolicyStatement[] {
  const id = config.encryption?.kmsKeyId;
  if (id === undefined) return [];
  const key = id.startsWith('arn:') ? id : `${arn(config)}:kms:${config.region}:*:key/${id}`;
  return [statement('PgproofKey', ['kms:GenerateDataKey', 'kms:Decrypt'], [key])];
}

function arn({ region }: BucketConfig): string {
  if (region.startsWith('cn-')) return 'arn:aws-cn';
  return region.startsWith('us-gov-') ? 'arn:aws-us-gov' : 'arn:aws';
}

function statement(Sid: string, Action: string[], Resource: string[]): PolicyStatement {
  return { Sid, Effect: 'Allow', Action, Resource };
}

const documentOf = (Statement: PolicyStatement[]): PolicyDocument => ({ Version: '2012-10-17', Statement });
