import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Finding } from '../../check/finding.ts';
import { policyOf } from '../../check/policy/policy.ts';
import { checkStores } from '../../check/store.ts';
import type { BucketConfig } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { initRepository, openRepository } from '../../repository/repository.ts';
import { openStore } from '../../storage/open.ts';
import type { Credentials } from '../support/oss-server/identities.ts';
import type { RamPolicy } from '../support/oss-server/policy.ts';
import { type OssServer, startOssServer } from '../support/oss-server/server.ts';
import { startS3Server } from '../support/s3-server.ts';

const { signal } = new AbortController();
const prefix = 'backups/pgproof/';

const envOf = ({ accessKeyId, accessKeySecret }: Credentials): NodeJS.ProcessEnv => ({
  OSS_ACCESS_KEY_ID: accessKeyId,
  OSS_ACCESS_KEY_SECRET: accessKeySecret,
});

async function checked(config: BucketConfig, env: NodeJS.ProcessEnv): Promise<Record<string, Finding>> {
  const repository = await openRepository('offsite', config, { env });
  const cluster = { name: 'shop', repositories: [repository], unavailable: [] } as unknown as ProtectedCluster;
  const findings = await checkStores(cluster, { signal, env });
  return Object.fromEntries(findings.map((finding) => [finding.name.replace('offsite/', ''), finding]));
}

describe('a bucket of OSS', () => {
  let server: OssServer;
  let config: BucketConfig;
  let account: NodeJS.ProcessEnv;
  beforeEach(async ({ onTestFinished }) => {
    server = await startOssServer();
    onTestFinished(() => server.close());
    config = {
      type: 'oss',
      bucket: server.bucket.name,
      region: server.region,
      prefix,
      endpoint: server.endpoint,
      cname: false,
      limits: { parallel: 8 },
    };
    account = envOf(server.credentials);
    await initRepository('offsite', config, { env: account });
  });
  const keys = () => server.bucket.keys();

  test('that is as it should be has no problem, and nothing of the check stays in it', async () => {
    server.bucket.lifecycle = policyOf(config).lifecycle.document;
    const before = keys();
    const findings = await checked(config, account);
    expect(Object.entries(findings).map(([name, { status }]) => `${name} ${status}`)).toEqual([
      'clock ok',
      'versioning ok',
      'lock ok',
      'lifecycle ok',
      'abandoned-uploads ok',
      'rights ok',
      'conditional-put ok',
      'speed ok',
      'requests ok',
    ]);
    expect(findings.speed?.detail).toMatch(/^\d+ MB\/s up, \d+ MB\/s down, /);
    expect(findings['abandoned-uploads']?.detail).toBe('aborted by the bucket after 7 days');
    expect(findings['conditional-put']?.detail).toBe('an object that is there is not replaced');
    expect(keys()).toEqual(before);
    expect([...server.bucket.uploads]).toEqual([]);
  });

  test('that is versioned is told apart, and so is that it does not refuse to replace objects', async () => {
    server.bucket.versioning = 'Enabled';
    const findings = await checked(config, account);
    expect(findings.versioning).toMatchObject({ status: 'ok', detail: expect.stringContaining('older version') });
    expect(Object.values(findings).filter(({ status }) => status === 'problem')).toEqual([]);
  });

  test('under a lock keeps what was written: the check says so, and leaves no large objects there', async () => {
    server.bucket.worm = { id: 'worm', state: 'Locked', days: 30 } as OssServer['bucket']['worm'] & object;
    const findings = await checked(config, account);
    expect(findings.lock).toMatchObject({ status: 'ok', detail: expect.stringMatching(/30 days.*retained/) });
    expect(findings.rights).toMatchObject({ status: 'ok' });
    expect(findings.speed).toBeUndefined();
    expect(keys().filter((key) => key.includes('speed'))).toEqual([]);
  });

  test('scenario 17: whose lifecycle deletes objects of the repository is a problem that names the rule', async () => {
    const rule = (id: string, where: string) =>
      `<Rule><ID>${id}</ID><Prefix>${where}</Prefix><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule>`;
    server.bucket.lifecycle = `<?xml version="1.0"?><LifecycleConfiguration>${rule('clean-up', 'backups/')}${rule('logs', 'logs/')}</LifecycleConfiguration>`;
    const findings = await checked(config, account);
    expect(findings.lifecycle).toMatchObject({ status: 'problem', detail: expect.stringMatching(/: clean-up$/) });
    expect(findings['abandoned-uploads']).toMatchObject({ status: 'warning', fix: 'pgproof check shop --policy' });
  });

  test('that must be asked again is a warning', async () => {
    server.faults.push({ on: 'ListObjectsV2', times: 2, fault: { kind: 'status', status: 503, code: 'SlowDown' } });
    expect((await checked(config, account)).requests).toMatchObject({
      status: 'warning',
      detail: expect.stringMatching(/^\d+ requests, 2 of them sent again$/),
    });
  });

  test('whose clock is off is a warning, with what sets the clock', async () => {
    server.clockAheadMs = 120_000;
    expect((await checked(config, account)).clock).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('behind'),
      fix: 'timedatectl set-ntp true',
    });
  });

  test('that one may only read is a problem which lists what is not allowed, and where the policy is', async () => {
    const statement = { Effect: 'Allow' as const, Action: ['oss:Get*', 'oss:ListObjects'], Resource: ['*'] };
    const reader = server.identities.addUser([{ Version: '1', Statement: [statement] }]);
    const { rights } = await checked(config, envOf(reader));
    expect(rights).toMatchObject({ status: 'problem', fix: 'pgproof check shop --policy' });
    expect(rights?.detail).toBe(
      'not allowed to: write an object, upload in parts, list unfinished uploads, remove an object',
    );
  });

  test('with the printed policy of a writer does everything below its prefix, and nothing beside it', async () => {
    const writer = server.identities.addUser([policyOf(config).writer as RamPolicy]);
    server.bucket.lifecycle = policyOf(config).lifecycle.document;
    const findings = await checked(config, envOf(writer));
    expect(Object.values(findings).filter(({ status }) => status !== 'ok')).toEqual([]);
    const place = { ...config, prefix: `${prefix}other/` };
    await initRepository('second', place, { env: envOf(writer) });
    await expectRefusedBeside(config, envOf(writer));
  });

  test('with the printed policy of a restoring host can be read, and only reports can be written', async () => {
    const restoring = envOf(server.identities.addUser([policyOf(config).restore as RamPolicy]));
    const { store } = await openRepository('offsite', config, { env: restoring });
    const listed: string[] = [];
    for await (const { key } of store.list('')) listed.push(key);
    expect(listed).toEqual(['README.txt', 'pgproof-repository.json']);
    await store.create('shop/reports/2026/11/a.json', Buffer.from('{}'));
    await expect(store.create('shop/wal/a', Buffer.from('x'))).rejects.toMatchObject({ code: 'store-denied' });
    await expect(store.remove('README.txt')).rejects.toMatchObject({ code: 'store-denied' });
    await expectRefusedBeside(config, restoring);
  });
});

describe('a bucket of S3', () => {
  let server: Awaited<ReturnType<typeof startS3Server>>;
  beforeAll(async () => {
    server = await startS3Server();
  });
  afterAll(() => server?.close());

  test('that is as it should be has no problem, and nothing of the check stays in it', async () => {
    const config = server.config(await server.bucket(), { prefix });
    await initRepository('offsite', config, { env: server.env() });
    const findings = await checked(config, server.env());
    expect(Object.values(findings).filter(({ status }) => status === 'problem')).toEqual([]);
    expect(findings.rights).toMatchObject({ status: 'ok' });
    const store = await openStore(config, { env: server.env() });
    const left: string[] = [];
    for await (const { key } of store.list('')) left.push(key);
    expect(left).toEqual(['README.txt', 'pgproof-repository.json']);
  });

  test('that one may only read is a problem which lists what is not allowed', async () => {
    const config = server.config(await server.bucket({ readers: true }), { prefix });
    await initRepository('offsite', config, { env: server.env() });
    const { rights } = await checked(config, server.env(server.reader));
    expect(rights).toMatchObject({ status: 'problem', detail: expect.stringContaining('write an object') });
  });
});

test('a repository that could not be opened is a problem of its own, with the reason', async () => {
  const error = new PgproofError('store-denied', 'not allowed to read', { hint: 'Allow it.' });
  const cluster = { name: 'shop', repositories: [], unavailable: [{ name: 'offsite', error }] };
  expect(await checkStores(cluster as unknown as ProtectedCluster, { signal })).toEqual([
    { name: 'offsite/open', status: 'problem', detail: 'not allowed to read', fix: 'Allow it.' },
  ]);
});

async function expectRefusedBeside(config: BucketConfig, env: NodeJS.ProcessEnv): Promise<void> {
  const beside = await openStore({ ...config, prefix: 'backups/other/' }, { env });
  await expect(beside.create('a', Buffer.from('x'))).rejects.toMatchObject({ code: 'store-denied' });
  await expect(beside.read('a')).rejects.toMatchObject({ code: 'store-denied' });
  await expect(beside.list('')[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'store-denied' });
}
