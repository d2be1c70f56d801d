import { onTestFinished } from 'vitest';
import type { OssConfig } from '../../../core/config.ts';
import { type Around, around } from '../../../storage/bucket/around.ts';
import type { Bucket } from '../../../storage/bucket/bucket.ts';
import { type BucketStore, openBucketStore } from '../../../storage/bucket/store.ts';
import { openBucket } from '../../../storage/open.ts';
import { openOssBucket } from '../../../storage/oss/bucket.ts';
import type { Credentials } from '../../support/oss-server/identities.ts';
import { type OssServer, type OssServerOptions, startOssServer } from '../../support/oss-server/server.ts';

/** The smallest parts that OSS takes have 100 KiB. */
export const pieceBytes = 128 * 1024;

/** A server that ends with the test. */
export async function ossServer(options: OssServerOptions = {}): Promise<OssServer> {
  const server = await startOssServer(options);
  onTestFinished(() => server.close());
  return server;
}

export function configOf(server: OssServer, more: Partial<OssConfig> = {}): OssConfig {
  return {
    type: 'oss',
    bucket: server.bucket.name,
    region: server.region,
    prefix: '',
    endpoint: server.endpoint,
    cname: false,
    limits: { parallel: 8 },
    ...more,
  };
}

export function envOf({ accessKeyId, accessKeySecret, securityToken }: Credentials): NodeJS.ProcessEnv {
  return {
    OSS_ACCESS_KEY_ID: accessKeyId,
    OSS_ACCESS_KEY_SECRET: accessKeySecret,
    ...(securityToken === undefined ? {} : { OSS_SESSION_TOKEN: securityToken }),
  };
}

type Opening = { config?: Partial<OssConfig>; credentials?: Credentials };

/** The driver alone: what it does with one request, and each error as it comes. */
export function driverOn(
  server: OssServer,
  { config, credentials = server.credentials }: Opening = {},
): Promise<Bucket> {
  return openOssBucket(configOf(server, config), { env: envOf(credentials) });
}

/** As the program opens it, with retries and limits; pieces are small. */
export async function storeOn(
  server: OssServer,
  { config, credentials = server.credentials }: Opening = {},
): Promise<BucketStore> {
  const whole = configOf(server, config);
  const bucket = await openBucket(whole, { env: envOf(credentials) });
  return openBucketStore(bucket, { prefix: whole.prefix, pieceBytes });
}

/** A signal that nobody aborts. */
export const call = { signal: new AbortController().signal };

/** Does something before certain requests. */
export function before(bucket: Bucket, act: (operation: string) => void): Bucket {
  const handle: Around = ({ operation, call: inner, send }) => {
    act(operation);
    return send(inner);
  };
  return around(bucket, handle);
}
