import { accessDenied, OssFailure } from './failure.ts';

/** Where a request is addressed: to which bucket, by the endpoint of which region. */
export type Target = { bucket: string | undefined; region: string; publicEndpoint: boolean };

const standard = /^(?:([a-z0-9][a-z0-9-]*)\.)?oss-([a-z0-9-]+?)(-internal)?\.aliyuncs\.com$/;

/**
 * Which bucket the Host header means. OSS reads it from the name only: `bucket.oss-region.aliyuncs.com`, the accelerate
 * endpoint, or a domain bound to the bucket; the path is always the key.
 */
export function targetOf(
  hostHeader: string,
  path: string,
  home: { bucket: string; region: string; cname?: string | undefined },
): Target {
  const host = hostHeader.replace(/:\d+$/, '');
  if (host === home.cname) return { bucket: home.bucket, region: home.region, publicEndpoint: false };
  const [, bucket, region, internal] = standard.exec(host) ?? [];
  if (region === undefined)
    throw new OssFailure(
      403,
      'NonStandardHostForbidden',
      'Your host is invalid. Please use Open Storage Service standard host.',
    );
  if (bucket === undefined && path !== '/')
    throw new OssFailure(
      403,
      'SecondLevelDomainForbidden',
      'The bucket you are attempting to access must be addressed using OSS third level domain.',
    );
  const accelerate = region === 'accelerate';
  return {
    bucket,
    region: accelerate ? home.region : region,
    publicEndpoint: !accelerate && internal === undefined,
  };
}

/** A bucket of another region is not found there, and OSS says where it is. */
export function assertRegion(target: Target, bucket: { name: string; region: string }): void {
  if (target.region === bucket.region) return;
  throw accessDenied(
    'The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.',
    { Bucket: bucket.name, Endpoint: `oss-${bucket.region}.aliyuncs.com` },
  );
}
