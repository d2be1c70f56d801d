import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';
import type { BucketConfig } from '../../core/config.ts';
import type { Bucket } from '../../storage/bucket/bucket.ts';
import { openOssBucket } from '../../storage/oss/bucket.ts';
import { openS3Bucket } from '../../storage/s3/bucket.ts';
import { type Misbehaving, startMisbehaving } from '../support/misbehaving.ts';
import { startOssServer } from '../support/oss-server/server.ts';
import { startS3Server } from '../support/s3-server.ts';
import { selfSigned } from '../support/self-signed.ts';

/** A new prefix of a bucket, behind a network that can be made bad. */
export type Peer = {
  /** The driver alone. */
  bucket: Bucket;
  config: BucketConfig;
  env: NodeJS.ProcessEnv;
  prefix: string;
  network: Misbehaving;
};

/** A store that runs for a whole file of tests. */
export type Server = {
  /** For one test. @param tls the network speaks HTTPS, with a certificate that nobody trusts. */
  open(options?: { tls?: boolean }): Promise<Peer>;
  close(): Promise<void>;
};

/** The stores that the tests have, each with the driver that is made for it. */
export const servers: [string, () => Promise<Server>][] = [
  ['oss', startOss],
  ['s3', startS3],
];

async function startOss(): Promise<Server> {
  const server = await startOssServer();
  const { accessKeyId, accessKeySecret } = server.credentials;
  const env = { OSS_ACCESS_KEY_ID: accessKeyId, OSS_ACCESS_KEY_SECRET: accessKeySecret };
  return {
    open: async ({ tls = false } = {}) => {
      const { network, prefix } = await badNetwork(server.port, tls);
      const config: BucketConfig = {
        type: 'oss',
        bucket: server.bucket.name,
        region: server.region,
        prefix,
        endpoint: network.endpoint,
        cname: false,
        limits: { parallel: 8 },
      };
      return { bucket: await openOssBucket(config, { env }), config, env, prefix, network };
    },
    close: () => server.close(),
  };
}

async function startS3(): Promise<Server> {
  const server = await startS3Server();
  const bucket = await server.bucket();
  const env = server.env();
  return {
    open: async ({ tls = false } = {}) => {
      const { network, prefix } = await badNetwork(Number(new URL(server.endpoint).port), tls);
      const config = server.config(bucket, { prefix, endpoint: network.endpoint });
      return { bucket: await openS3Bucket(config, { env }), config, env, prefix, network };
    },
    close: () => server.close(),
  };
}

async function badNetwork(port: number, tls: boolean): Promise<{ network: Misbehaving; prefix: string }> {
  const network = await startMisbehaving({ host: '127.0.0.1', port }, tls ? selfSigned() : undefined);
  onTestFinished(() => network.close());
  return { network, prefix: `peer-${randomBytes(4).toString('hex')}/` };
}
