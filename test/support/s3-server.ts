import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { CreateBucketCommand, PutBucketPolicyCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import type { S3Config } from '../../core/config.ts';
import { configSchema } from '../../core/config.ts';
import { locateVersitygw } from '../../setup/locate.ts';
import { freePort } from './ports.ts';
import { keptTempDir } from './temp.ts';

const run = promisify(execFile);

export type Keys = { accessKeyId: string; secretAccessKey: string };

export type TestS3 = {
  endpoint: string;
  region: string;
  /** May do everything. */
  root: Keys;
  /** May list and read in the buckets made with `readers`. */
  reader: Keys;
  /** The second key that may do everything, to be rotated to. */
  rotated: Keys;
  /** PEM file of the authority that signed the server's certificate; undefined without `tls`. */
  ca: string | undefined;
  /** The folder below which each bucket is one. */
  folder: string;
  /** A new bucket. */
  bucket(options?: { versioning?: boolean; lock?: boolean; readers?: boolean }): Promise<string>;
  /** The SDK's own client, for what a test asks behind our back. */
  client(): S3Client;
  /** A repository's configuration, as the file would give it. */
  config(bucket: string, more?: Record<string, unknown>): S3Config;
  /** As openBucket takes it. */
  env(keys?: Keys): NodeJS.ProcessEnv;
  close(): Promise<void>;
};

const keysOf = (name: string): Keys => ({ accessKeyId: `${name}-key`, secretAccessKey: `${name}-secret-of-the-tests` });
const [root, reader, rotated] = [keysOf('root'), keysOf('reader'), keysOf('rotated')];
const region = 'eu-central-1';

/** A real S3 server (versitygw) on a folder and a port of its own. Close it. */
export async function startS3Server({ tls = false }: { tls?: boolean } = {}): Promise<TestS3> {
  const program = locateVersitygw();
  if (program === undefined) throw new Error('versitygw is not here: node setup/main.ts test');
  const dir = keptTempDir('s3');
  const places = Object.fromEntries(
    ['data', 'meta', 'versions', 'iam'].map((name) => [name, join(dir, name)]),
  ) as Record<'data' | 'meta' | 'versions' | 'iam', string>;
  for (const place of Object.values(places)) mkdirSync(place);
  writeUsers(places.iam);
  if (tls) await makeCertificate(dir);
  const port = await freePort();
  const options = [
    '--port',
    `127.0.0.1:${port}`,
    '--region',
    region,
    '--iam-dir',
    places.iam,
    '--keep-alive',
    '--quiet',
  ];
  const certificate = tls ? ['--cert', join(dir, 'server.pem'), '--key', join(dir, 'server.key')] : [];
  // Not by extended attributes: not every file system of a temporary folder has them.
  const posix = ['posix', '--sidecar', places.meta, '--versioning-dir', places.versions, places.data];
  const child = spawn(program, [...options, ...certificate, ...posix], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ROOT_ACCESS_KEY_ID: root.accessKeyId, ROOT_SECRET_ACCESS_KEY: root.secretAccessKey },
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const ended = once(child, 'exit');
  // Name and certificate fit; 127.0.0.1 would not need a name service, but has no host names for buckets.
  const endpoint = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  await answers(
    port,
    () => child.exitCode,
    () => said,
  );
  const ca = tls ? join(dir, 'ca.pem') : undefined;
  const clients: S3Client[] = [];
  const client = () => {
    const pem = ca === undefined ? undefined : readFileSync(ca);
    const made = new S3Client({
      endpoint,
      region,
      credentials: root,
      forcePathStyle: true,
      ...(pem === undefined ? {} : { requestHandler: { httpsAgent: { ca: pem } } }),
    });
    clients.push(made);
    return made;
  };
  let buckets = 0;
  return {
    endpoint,
    region,
    root,
    reader,
    rotated,
    ca,
    folder: places.data,
    client,
    bucket: async ({ versioning = false, lock = false, readers = false } = {}) => {
      buckets += 1;
      const Bucket = `bucket-${buckets}`;
      const admin = client();
      await admin.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: lock }));
      if (versioning)
        await admin.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
      await admin.send(new PutBucketPolicyCommand({ Bucket, Policy: policy(Bucket, readers) }));
      return Bucket;
    },
    config: (bucket, more = {}) => {
      const repository = { type: 's3', bucket, region, endpoint, pathStyle: true, ...(ca ? { ca } : {}), ...more };
      const parsed = configSchema.parse({ hosts: {}, repositories: { s3: repository }, clusters: {} });
      return parsed.repositories.s3 as S3Config;
    },
    env: (keys = root) => ({
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: 'true',
    }),
    close: async () => {
      for (const made of clients) made.destroy();
      child.kill('SIGKILL');
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function writeUsers(folder: string): void {
  const user = ({ accessKeyId, secretAccessKey }: Keys) => ({
    access: accessKeyId,
    secret: secretAccessKey,
    role: 'user',
    userID: 0,
    groupID: 0,
    projectID: 0,
  });
  const accessAccounts = Object.fromEntries([reader, rotated].map((keys) => [keys.accessKeyId, user(keys)]));
  writeFileSync(join(folder, 'users.json'), JSON.stringify({ accessAccounts }));
}

function policy(bucket: string, readers: boolean): string {
  const arns = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`];
  const allow = (keys: Keys, actions: string[]) => ({
    Effect: 'Allow',
    Principal: { AWS: [keys.accessKeyId] },
    Action: actions,
    Resource: arns,
  });
  const statements = [allow(rotated, ['s3:*']), ...(readers ? [allow(reader, ['s3:GetObject', 's3:ListBucket'])] : [])];
  return JSON.stringify({ Version: '2012-10-17', Statement: statements });
}

/** An authority that nobody trusts, and a certificate by it. */
async function makeCertificate(dir: string): Promise<void> {
  const at = (name: string) => join(dir, name);
  const request = ['req', '-newkey', 'rsa:2048', '-nodes', '-sha256'];
  const authority = ['-x509', '-days', '2', '-subj', '/CN=authority of the tests'];
  await run('openssl', [...request, ...authority, '-keyout', at('ca.key'), '-out', at('ca.pem')]);
  await run('openssl', [...request, '-subj', '/CN=127.0.0.1', '-keyout', at('server.key'), '-out', at('server.csr')]);
  writeFileSync(at('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost');
  const sign = ['x509', '-req', '-days', '2', '-in', at('server.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key')];
  await run('openssl', [...sign, '-CAcreateserial', '-extfile', at('names'), '-out', at('server.pem')]);
}

async function answers(port: number, exitCode: () => number | null, said: () => string): Promise<void> {
  for (let waited = 0; ; waited += 20) {
    if (exitCode() !== null) throw new Error(`versitygw ended with ${exitCode()}\n${said()}`);
    // Any answer will do: it is there.
    if (await connects(port)) return;
    if (waited > 30_000) throw new Error(`versitygw did not start within 30 s\n${said()}`);
    await sleep(20);
  }
}

async function connects(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
