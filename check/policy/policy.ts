import type { BucketConfig } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import type { StorePolicy } from './document.ts';
import { ossPolicy } from './oss.ts';
import { s3Policy } from './s3.ts';

/** OSS judges by RAM also where it is spoken to in S3's language. */
export function policyOf(config: BucketConfig): StorePolicy {
  const isOss = config.type === 'oss' || /\.aliyuncs\.com\/?$/.test(config.endpoint ?? '');
  return isOss ? ossPolicy(config) : s3Policy(config);
}

/** @throws {PgproofError} `usage` where no repository of the cluster is a bucket. */
export function noBucket(cluster: string): PgproofError {
  return new PgproofError('usage', `no repository of cluster '${cluster}' is a bucket`, {
    facts: { cluster },
    hint: 'Policies are for repositories of type oss and s3; a folder needs only the rights of its file system.',
  });
}
