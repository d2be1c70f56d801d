import type { OssConfig } from '../../core/config.ts';

/** Where the requests of a bucket go, in the SDK's words: the bucket is put before the host unless `cname`. */
export type Endpoint = {
  /** With protocol, without a path. */
  address: string;
  cname: boolean;
  /** As the SDK wants it, `oss-cn-hangzhou`; it signs for the part behind `oss-`. */
  region: string;
};

export function endpointOf(config: Pick<OssConfig, 'endpoint' | 'region' | 'cname'>): Endpoint {
  const region = `oss-${plainRegion(config.region)}`;
  return { address: addressOf(config.endpoint, region), cname: config.cname, region };
}

/** Users copy regions with and without the service's name in front. */
export function plainRegion(region: string): string {
  return region.replace(/^oss-/, '');
}

function addressOf(endpoint: OssConfig['endpoint'], region: string): string {
  if (endpoint === 'public') return `https://${region}.aliyuncs.com`;
  if (endpoint === 'internal') return `https://${region}-internal.aliyuncs.com`;
  if (endpoint === 'accelerate') return 'https://oss-accelerate.aliyuncs.com';
  return endpoint.replace(/\/$/, '');
}

/** STS of the same region, by the network that the bucket is reached by. */
export function stsAddress(config: Pick<OssConfig, 'endpoint' | 'region'>): string {
  const network = config.endpoint === 'internal' ? 'sts-vpc' : 'sts';
  return `https://${network}.${plainRegion(config.region)}.aliyuncs.com`;
}
