import type { BucketConfig } from '../../core/config.ts';
import { abortAfterDays, type PolicyDocument, type PolicyStatement, type StorePolicy } from './document.ts';

/** For Alibaba Cloud RAM: a user's, or a role's, policy. */
export function ossPolicy(config: BucketConfig): StorePolicy {
  const { bucket, prefix } = config;
  const document = `<?xml version="1.0" encoding="UTF-8"?>
<LifecycleConfiguration>
  <Rule>
    <ID>pgproof-abandoned-uploads</ID>
    <Prefix>${prefix}</Prefix>
    <Status>Enabled</Status>
    <AbortMultipartUpload>
      <Days>${abortAfterDays}</Days>
    </AbortMultipartUpload>
  </Rule>
</LifecycleConfiguration>
`;
  return {
    writer: documentOf([
      ...readers(config),
      statement(['oss:PutObject', 'oss:AbortMultipartUpload', 'oss:DeleteObject'], objects(bucket, `${prefix}*`)),
      statement(['oss:ListMultipartUploads'], [`acs:oss:*:*:${bucket}`]),
      ...kms(config, ['kms:GenerateDataKey', 'kms:Decrypt']),
    ]),
    restore: documentOf([
      ...readers(config),
      statement(
        ['oss:PutObject'],
        [...objects(bucket, `${prefix}*/reports/*`), ...objects(bucket, `${prefix}*/holds/*`)],
      ),
      ...kms(config, ['kms:GenerateDataKey', 'kms:Decrypt']),
    ]),
    lifecycle: { format: 'xml', document, command: `ossutil lifecycle --method put oss://${bucket} lifecycle.xml` },
    advice: [
      'A bucket has one lifecycle configuration, and putting one replaces it: add the rule to those that are there (ossutil lifecycle --method get).',
      `No rule may expire objects below '${prefix}', or move them to an archive class: only pgproof knows which objects a backup needs.`,
      'A retention policy (WORM) is of the whole bucket: give the repository a bucket of its own. While it lasts nobody deletes a backup, not even the account; choose fewer days than backups are kept.',
      'In a versioned bucket what pgproof removes stays as an older version and is paid for: let a rule expire noncurrent versions after as many days as a mistake may need to be found. oss:DeleteObjectVersion is not in these policies, so that older versions survive a stolen key.',
      'A versioned bucket ignores forbid-overwrite: pgproof looks before it puts, and relies on neither.',
    ],
  };
}

function readers({ bucket, prefix }: BucketConfig): PolicyStatement[] {
  const list = statement(['oss:ListObjects'], [`acs:oss:*:*:${bucket}`]);
  return [
    prefix === '' ? list : { ...list, Condition: { StringLike: { 'oss:Prefix': [`${prefix}*`] } } },
    statement(['oss:GetBucketVersioning', 'oss:GetBucketWorm', 'oss:GetBucketLifecycle'], [`acs:oss:*:*:${bucket}`]),
    statement(['oss:GetObject'], objects(bucket, `${prefix}*`)),
  ];
}

function kms({ region, encryption }: BucketConfig, actions: string[]): PolicyStatement[] {
  if (encryption?.kmsKeyId === undefined) return [];
  return [statement(actions, [`acs:kms:${region}:*:key/${encryption.kmsKeyId}`])];
}

const objects = (bucket: string, pattern: string): string[] => [`acs:oss:*:*:${bucket}/${pattern}`];

function statement(Action: string[], Resource: string[]): PolicyStatement {
  return { Effect: 'Allow', Action, Resource };
}

const documentOf = (Statement: PolicyStatement[]): PolicyDocument => ({ Version: '1', Statement });
