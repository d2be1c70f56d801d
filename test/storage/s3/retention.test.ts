import {
  ListObjectVersionsCommand,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startS3Server, type TestS3 } from '../../support/s3-server.ts';
import { call, driverOn, networkBefore, refused } from './support.ts';

let server: TestS3;
beforeAll(async () => {
  server = await startS3Server();
});
afterAll(async () => server.close());

const x = Buffer.from('x');

test('a bucket with versions and a lock is recognised, with the days that it locks', async () => {
  const name = await server.bucket({ versioning: true, lock: true });
  const bucket = await driverOn(server, name);
  expect(await bucket.inspect('', call)).toMatchObject({
    versioning: 'enabled',
    lock: { mode: 'enabled', days: null },
  });
  const client = server.client();
  await client.send(
    new PutObjectLockConfigurationCommand({
      Bucket: name,
      ObjectLockConfiguration: {
        ObjectLockEnabled: 'Enabled',
        Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 30 } },
      },
    }),
  );
  expect((await bucket.inspect('', call)).lock).toEqual({ mode: 'COMPLIANCE', days: 30 });
  expect(await (await driverOn(server, await server.bucket())).inspect('', call)).toMatchObject({
    versioning: 'off',
    lock: 'none',
  });
});

test('rights that are missing for a question leave it open, and fail nothing', async () => {
  const name = await server.bucket({ readers: true });
  const bucket = await driverOn(server, name, { env: server.env(server.reader) });
  expect(await bucket.inspect('', call)).toMatchObject({ versioning: undefined, lock: undefined });
});

test('scenario 16: what is removed where versions are kept is gone from sight, and still there', async () => {
  const name = await server.bucket({ versioning: true });
  const bucket = await driverOn(server, name);
  await bucket.put('a', x, call);
  await bucket.remove('a', call);
  expect(await bucket.head('a', call)).toBeUndefined();
  expect((await bucket.list('', undefined, call)).objects).toEqual([]);
  const { Versions, DeleteMarkers } = await server.client().send(new ListObjectVersionsCommand({ Bucket: name }));
  expect([Versions?.length, DeleteMarkers?.length]).toEqual([1, 1]);
});

test('scenario 16: a deletion that a lock refuses is told as retained, with until when', async () => {
  const network = await networkBefore(server);
  const name = await server.bucket({ lock: true });
  const bucket = await driverOn(server, name, { endpoint: network.endpoint });
  const client = server.client();
  const until = new Date(Date.now() + 3_600_000);
  until.setMilliseconds(0);
  await bucket.put('locked', x, call);
  await bucket.put('held', x, call);
  await bucket.put('free', x, call);
  const at = (Key: string) => ({ Bucket: name, Key });
  await client.send(
    new PutObjectRetentionCommand({ ...at('locked'), Retention: { Mode: 'GOVERNANCE', RetainUntilDate: until } }),
  );
  await client.send(new PutObjectLegalHoldCommand({ ...at('held'), LegalHold: { Status: 'ON' } }));
  // With versions a deletion only hides; stores without them refuse, as this does in the server's place.
  network.rules.push({ method: 'DELETE', mishap: { kind: 'status', status: 403 } });
  expect((await refused(bucket.remove('locked', call))).toDocument()).toEqual({
    code: 'object-retained',
    message: `'locked' is retained by the store until ${until.toISOString()} and was kept`,
    facts: { key: 'locked', until: until.toISOString(), mode: 'GOVERNANCE' },
    hint: null,
  });
  expect(await refused(bucket.remove('held', call))).toMatchObject({
    code: 'object-retained',
    permanent: true,
    facts: { until: null, mode: 'LEGAL_HOLD' },
  });
  expect(await refused(bucket.remove('free', call))).toMatchObject({ code: 'store-denied' });
});

test('rules that delete, move away or tidy up below the prefix are recognised', async () => {
  const network = await networkBefore(server);
  const rule = (id: string, filter: string, action: string) =>
    `<Rule><ID>${id}</ID><Status>Enabled</Status><Filter>${filter}</Filter>${action}</Rule>`;
  const expires = '<Expiration><Days>30</Days></Expiration>';
  const moves = (to: string) => `<Transition><Days>1</Days><StorageClass>${to}</StorageClass></Transition>`;
  const body = `<LifecycleConfiguration>
    ${rule('all', '', expires)}${rule('above', '<Prefix>backups/</Prefix>', moves('DEEP_ARCHIVE'))}
    ${rule('below', '<Prefix>backups/pg/shop/</Prefix>', expires)}${rule('beside', '<Prefix>logs/</Prefix>', expires)}
    ${rule('tagged', '<Tag><Key>k</Key><Value>v</Value></Tag>', expires)}${rule('near', '', moves('GLACIER_IR'))}
    ${rule('old', '', '<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>')}
    ${rule('tidy', '<Prefix>backups/</Prefix>', '<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>')}
    <Rule><ID>off</ID><Status>Disabled</Status><Filter></Filter>${expires}</Rule></LifecycleConfiguration>`;
  network.rules.push({ url: /\?lifecycle/, mishap: { kind: 'answer', status: 200, body } });
  const bucket = await driverOn(server, await server.bucket(), { endpoint: network.endpoint });
  expect(await bucket.inspect('backups/pg/', call)).toMatchObject({
    deletingRules: ['all', 'above', 'below'],
    abortsUploadsAfterDays: 7,
  });
});
