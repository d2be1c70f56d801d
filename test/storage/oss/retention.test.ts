import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import type { RamPolicy } from '../../support/oss-server/policy.ts';
import { call, driverOn, ossServer, pieceBytes } from './support.ts';

const x = Buffer.from('x');

test('scenario 16: a locked object is retained, until when, and is not tried again', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  await bucket.put('a', x, call);
  server.bucket.worm = { days: 30, state: 'Locked' };
  const error = await bucket.remove('a', call).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'object-retained', permanent: true, facts: { key: 'a' } });
  const until = Date.parse((error as { facts: { until: string } }).facts.until);
  expect(Math.round((until - Date.now()) / 60_000)).toBe(30 * 24 * 60);
  expect((error as Error).message).toContain('is retained until 2');
  await bucket.remove('absent', call);

  server.clockAheadMs = 0;
  (server.bucket.versions('a')[0] as { modified: Date }).modified = new Date(Date.now() - 31 * 86_400_000);
  await bucket.remove('a', call);
  expect(server.bucket.keys()).toEqual([]);
});

test('scenario 16: a locked object is retained also for whoever may not see until when', async () => {
  const server = await ossServer();
  const policy: RamPolicy = {
    Version: '1',
    Statement: [{ Effect: 'Allow', Action: ['oss:PutObject', 'oss:DeleteObject', 'oss:GetObject'], Resource: '*' }],
  };
  const bucket = await driverOn(server, { credentials: server.identities.addUser([policy]) });
  await bucket.put('a', x, call);
  server.bucket.worm = { days: 30, state: 'InProgress' };
  await expect(bucket.remove('a', call)).rejects.toMatchObject({
    code: 'object-retained',
    message: "'a' is retained by a retention policy of the bucket",
    facts: { key: 'a' },
  });
});

test('a put over a locked object is refused as one over any other', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  await bucket.put('a', x, call);
  server.bucket.worm = { days: 30, state: 'Locked' };
  await expect(bucket.put('a', x, call)).rejects.toMatchObject({ code: 'object-exists' });
});

test('a versioned bucket ignores the condition of a put, so each one is preceded by a look', async () => {
  for (const versioning of ['Enabled', 'Suspended'] as const) {
    const server = await ossServer();
    server.bucket.versioning = versioning;
    const bucket = await driverOn(server);
    await bucket.put('a', Buffer.from('first'), call);
    await expect(bucket.put('a', Buffer.from('second'), call)).rejects.toMatchObject({ code: 'object-exists' });
    const upload = await bucket.begin('b', call);
    const receipt = await bucket.putPart('b', upload, 1, randomBytes(pieceBytes), call);
    await (await driverOn(server)).put('b', x, call);
    await expect(bucket.complete('b', upload, [receipt], call)).rejects.toMatchObject({ code: 'object-exists' });
    expect(server.bucket.versions('a')).toHaveLength(1);
    const { body } = await bucket.get('a', undefined, call);
    expect((await buffer(body)).toString()).toBe('first');
  }
});

test('a bucket that is not versioned is not asked before each put', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  for (let each = 0; each < 5; each += 1) await bucket.put(`a${each}`, x, call);
  expect(server.seen.filter(({ operation }) => operation === 'HeadObject')).toHaveLength(1);
});

test('versioning that is switched on while we run is noticed with the next put', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  await bucket.put('a', x, call);
  server.bucket.versioning = 'Enabled';
  await bucket.put('b', x, call);
  await expect(bucket.put('b', x, call)).rejects.toMatchObject({ code: 'object-exists' });
});

test('removing from a versioned bucket hides the object, and keeps what it was', async () => {
  const server = await ossServer();
  server.bucket.versioning = 'Enabled';
  const bucket = await driverOn(server);
  await bucket.put('a', x, call);
  await bucket.remove('a', call);
  expect(await bucket.head('a', call)).toBeUndefined();
  await expect(bucket.get('a', undefined, call)).rejects.toMatchObject({ code: 'object-missing' });
  expect((await bucket.list('', undefined, call)).objects).toEqual([]);
  expect(server.bucket.versions('a').map(({ body }) => body?.bytes)).toEqual([undefined, 1]);
  await bucket.put('a', x, call);
});

test('the settings of a bucket are told, as far as they may be seen', async () => {
  const server = await ossServer();
  const bucket = await driverOn(server);
  expect(await bucket.inspect('pg/', call)).toEqual({
    clockAheadSeconds: expect.any(Number),
    versioning: 'off',
    lock: 'none',
    abortsUploadsAfterDays: 'never',
    deletingRules: [],
  });
  server.clockAheadMs = 120_000;
  server.bucket.versioning = 'Enabled';
  server.bucket.worm = { days: 7, state: 'Locked' };
  const rule = (id: string, prefix: string, inner: string, status = 'Enabled') =>
    `<Rule><ID>${id}</ID><Prefix>${prefix}</Prefix><Status>${status}</Status>${inner}</Rule>`;
  const expires = '<Expiration><Days>30</Days></Expiration>';
  const moves = (to: string) => `<Transition><Days>30</Days><StorageClass>${to}</StorageClass></Transition>`;
  server.bucket.lifecycle = `<?xml version="1.0"?><LifecycleConfiguration>${[
    rule('tidy', '', '<AbortMultipartUpload><Days>3</Days></AbortMultipartUpload>'),
    rule('eats-all', '', expires),
    rule('eats-some', 'pg/shop/', expires),
    rule('elsewhere', 'logs/', expires),
    rule('asleep', '', expires, 'Disabled'),
    rule('cheaper', '', moves('IA')),
    rule('freezes', 'pg/', moves('ColdArchive')),
    rule(
      'versions',
      '',
      '<NoncurrentVersionExpiration><NoncurrentDays>9</NoncurrentDays></NoncurrentVersionExpiration>',
    ),
  ].join('')}</LifecycleConfiguration>`;
  const facts = await bucket.inspect('pg/', call);
  expect(facts).toMatchObject({
    versioning: 'enabled',
    lock: { mode: 'Locked', days: 7 },
    abortsUploadsAfterDays: 3,
    deletingRules: ['eats-all', 'eats-some', 'freezes'],
  });
  expect(Math.round(Number(facts.clockAheadSeconds) / 10)).toBe(12);

  const policy: RamPolicy = { Version: '1', Statement: [{ Effect: 'Allow', Action: 'oss:PutObject', Resource: '*' }] };
  const limited = await driverOn(server, { credentials: server.identities.addUser([policy]) });
  expect(await limited.inspect('pg/', call)).toEqual({ clockAheadSeconds: expect.any(Number) });
});
