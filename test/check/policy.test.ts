import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PutBucketPolicyCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PolicyDocument } from '../../check/policy/document.ts';
import { policyOf } from '../../check/policy/policy.ts';
import type { BucketConfig } from '../../core/config.ts';
import { configSchema } from '../../core/config.ts';
import type { SegmentName } from '../../core/segment.ts';
import { holdEverything, listHolds, narrowHold, releaseHold } from '../../repository/holds.ts';
import { backupKey, backupPrefix, cutKey, holdKey, ownerKey, tombstoneKey, walKey } from '../../repository/layout.ts';
import { initRepository, openRepository } from '../../repository/repository.ts';
import { openStore } from '../../storage/open.ts';
import { pgproof } from '../client/cli.ts';
import { startS3Server } from '../support/s3-server.ts';
import { tempDir } from '../support/temp.ts';

const prefix = 'backups/pgproof/';

function configOf(repository: Record<string, unknown>): BucketConfig {
  const config = configSchema.parse({ hosts: {}, repositories: { offsite: repository }, clusters: {} });
  return config.repositories.offsite as BucketConfig;
}

describe('the printed policies of S3, given to a user of a real server,', () => {
  let server: Awaited<ReturnType<typeof startS3Server>>;
  beforeAll(async () => {
    server = await startS3Server();
  });
  afterAll(() => server?.close());

  /** As a policy of the bucket, which names whom it is for; versitygw has no policies of users. */
  async function give(bucket: string, { Version, Statement }: PolicyDocument): Promise<void> {
    const Principal = { AWS: [server.reader.accessKeyId] };
    const Policy = JSON.stringify({ Version, Statement: Statement.map((statement) => ({ ...statement, Principal })) });
    await server.client().send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
  }

  test('let a writer do everything below its prefix', async () => {
    const config = server.config(await server.bucket(), { prefix });
    await give(config.bucket, policyOf(config).writer);
    const env = server.env(server.reader);
    const { store } = await initRepository('offsite', config, { env });
    await store.create('shop/a', Buffer.alloc(20 << 20, 'x'));
    expect(await keysOf(store)).toEqual(['README.txt', 'pgproof-repository.json', 'shop/a']);
    await store.remove('shop/a');
    await expect(store.read('shop/a')).rejects.toMatchObject({ code: 'object-missing' });
    const beside = await openStore({ ...config, prefix: 'backups/other/' }, { env });
    await expect(beside.create('a', Buffer.from('x'))).rejects.toMatchObject({ code: 'store-denied' });
    await expect(keysOf(beside)).rejects.toMatchObject({ code: 'store-denied' });
  });

  test('let a host that restores and drills read, write reports, hold and release, and nothing else', async () => {
    const config = server.config(await server.bucket(), { prefix });
    await initRepository('offsite', config, { env: server.env() });
    await give(config.bucket, policyOf(config).restore);
    const env = server.env(server.reader);
    const { store } = await openRepository('offsite', config, { env });
    expect(await keysOf(store)).toEqual(['README.txt', 'pgproof-repository.json']);
    await store.create('shop/reports/2026/11/a.json', Buffer.from('{}'));
    const repository = await openRepository('offsite', config, { env });
    const order = {
      cluster: 'shop',
      operation: 'drill',
      by: 'drill-1',
      reason: null,
      seconds: 60,
    } as const;
    const hold = await holdEverything(repository, order);
    expect(await listHolds(repository, 'shop')).toMatchObject([{ id: hold.id, needs: null }]);
    await narrowHold(repository, hold, { needs: [], seconds: 60 });
    await releaseHold(repository, hold);
    expect(await listHolds(repository, 'shop')).toEqual([]);
    const denied = [
      walKey('shop', 'e', '000000010000000000000001' as SegmentName, 'a', '.zst'),
      backupKey('shop', 'e', 'a'),
      tombstoneKey(backupPrefix('shop', 'e'), 'a', '0000000a'),
      cutKey('shop', 'e', 'a'),
      ownerKey('shop', 1),
    ];
    for (const key of denied)
      await expect(store.create(key, Buffer.from('x')), key).rejects.toMatchObject({ code: 'store-denied' });
    for (const key of ['README.txt', holdKey('shop', hold.id)])
      await expect(store.remove(key), key).rejects.toMatchObject({ code: 'store-denied' });
  });
});

async function keysOf(store: Awaited<ReturnType<typeof openStore>>): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

test('the policies follow the place: its partition, its key, its prefix, and OSS behind an S3 endpoint', () => {
  const s3 = { type: 's3', bucket: 'vault' };
  const actionsOn = (repository: Record<string, unknown>) =>
    policyOf(configOf(repository)).writer.Statement.map(({ Action, Resource }) => `${Action[0]} ${Resource[0]}`);
  expect(actionsOn({ ...s3, region: 'cn-north-1' })).toContain('s3:GetObject arn:aws-cn:s3:::vault/*');
  const encryption = { algorithm: 'aws:kms', kmsKeyId: '1234' };
  expect(actionsOn({ ...s3, region: 'eu-central-1', encryption })).toContain(
    'kms:GenerateDataKey arn:aws:kms:eu-central-1:*:key/1234',
  );
  expect(actionsOn({ ...s3, endpoint: 'https://oss-cn-hangzhou.aliyuncs.com', region: 'oss-cn-hangzhou' })).toContain(
    'oss:GetObject acs:oss:*:*:vault/*',
  );
  const whole = policyOf(configOf({ type: 'oss', bucket: 'vault', region: 'cn-hangzhou' }));
  expect(whole.restore.Statement.some(({ Condition }) => Condition !== undefined)).toBe(false);
  expect(whole.writer.Statement.flatMap(({ Action }) => Action)).not.toContain('oss:DeleteObjectVersion');
});

test('check --policy needs neither rights nor credentials, and asks nothing', async () => {
  const dir = tempDir();
  const config = (repositories: Record<string, unknown>) => {
    const path = join(dir, 'pgproof.yaml');
    const shop = { host: 'here', connection: { socket: '/nonexistent' }, repositories: Object.keys(repositories) };
    writeFileSync(path, JSON.stringify({ hosts: { here: { state: dir } }, repositories, clusters: { shop } }));
    return ['--config', path, '--host', 'here'];
  };
  const local = { type: 'file', path: join(dir, 'repository') };
  const offsite = { type: 'oss', bucket: 'vault', region: 'cn-hangzhou', prefix };
  const { code, json } = await pgproof(['check', 'shop', '--policy', ...config({ local, offsite })]);
  expect(code).toBe(0);
  expect(json).toEqual({
    cluster: 'shop',
    repositories: [{ repository: 'offsite', location: `oss://vault/backups/pgproof`, ...policyOf(configOf(offsite)) }],
  });
  const refused = await pgproof(['check', 'shop', '--policy', ...config({ local })]);
  expect(refused).toMatchObject({ code: 2, json: { error: { code: 'usage' } } });
});
