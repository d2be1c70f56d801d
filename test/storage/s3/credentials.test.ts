import { randomBytes } from 'node:crypto';
import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { openBucketStore } from '../../../storage/bucket/store.ts';
import { CredentialsFile } from '../../../storage/credentials-file.ts';
import { openS3Bucket } from '../../../storage/s3/bucket.ts';
import { credentialSource } from '../../../storage/s3/credentials.ts';
import { type Keys, startS3Server, type TestS3 } from '../../support/s3-server.ts';
import { tempDir } from '../../support/temp.ts';
import { call, driverOn, networkBefore, pieceBytes, refused, xmlError } from './support.ts';

let server: TestS3;
let name: string;
beforeAll(async () => {
  server = await startS3Server();
  name = await server.bucket();
});
afterAll(async () => server.close());
afterEach(() => void vi.unstubAllEnvs());

/** Replaced in one step, as one rotates. */
function write(file: string, content: unknown, mode = 0o600): void {
  writeFileSync(`${file}.new`, typeof content === 'string' ? content : JSON.stringify(content), { mode });
  chmodSync(`${file}.new`, mode);
  renameSync(`${file}.new`, file);
}

const ours = ({ accessKeyId, secretAccessKey: accessKeySecret }: Keys) => ({ accessKeyId, accessKeySecret });

test('a credentials file is read again when it is replaced', async () => {
  const path = join(tempDir(), 's3.json');
  const file = new CredentialsFile(path);
  write(path, { accessKeyId: 'one', accessKeySecret: 'x', expiration: '2030-01-01T00:00:00+08:00' });
  expect(await file.read()).toEqual({
    accessKeyId: 'one',
    accessKeySecret: 'x',
    expiresAt: new Date('2029-12-31T16:00:00Z'),
  });
  write(path, { accessKeyId: 'two', accessKeySecret: 'y', securityToken: 'z' });
  expect(await file.read()).toEqual({ accessKeyId: 'two', accessKeySecret: 'y', securityToken: 'z' });
});

test('a credentials file that is being written leaves those before it in use until they expire', async () => {
  const path = join(tempDir(), 's3.json');
  const file = new CredentialsFile(path);
  write(path, { accessKeyId: 'one', accessKeySecret: 'x' });
  const before = await file.read();
  write(path, '{"accessKeyId": "tw');
  expect(await file.read()).toEqual(before);
  rmSync(path);
  expect(await file.read()).toEqual(before);
  write(path, { accessKeyId: 'two', accessKeySecret: 'y', expiration: '2020-01-01T00:00:00Z' });
  expect(await refused(file.read())).toMatchObject({ code: 'credentials-expired' });
  rmSync(path);
  expect(await refused(file.read())).toMatchObject({ code: 'credentials-missing' });
});

test('a credentials file that is missing, open to others, or something else is named, and nothing of it quoted', async () => {
  const path = join(tempDir(), 's3.json');
  expect(await refused(new CredentialsFile(path).read())).toMatchObject({
    code: 'credentials-missing',
    permanent: true,
    facts: { path, errno: 'ENOENT' },
  });
  write(path, { accessKeyId: 'id', accessKeySecret: 'very-secret' }, 0o640);
  expect((await refused(new CredentialsFile(path).read())).toDocument()).toMatchObject({
    code: 'credentials-missing',
    message: `the credentials file '${path}' has mode 0640: others can read it`,
    hint: `Make it private: chmod 600 ${path}`,
  });
  for (const content of [
    'very-secret',
    { accessKeyId: 'very-secret' },
    '{"accessKeySecret": "very-secret"',
    'x'.repeat(70_000),
  ]) {
    write(path, content);
    const error = await refused(new CredentialsFile(path).read());
    expect(error).toMatchObject({ code: 'credentials-missing', facts: { path } });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('very-secret');
  }
});

test('without keys in the environment those of the shared file are found, and their lack is named', async () => {
  const file = join(tempDir(), 'credentials');
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', file);
  vi.stubEnv('AWS_CONFIG_FILE', '/no-such-file');
  const config = server.config(name);
  expect(await refused(credentialSource(config, {}).current())).toMatchObject({
    code: 'credentials-missing',
    permanent: true,
    hint: expect.stringContaining('AWS_ACCESS_KEY_ID'),
  });
  writeFileSync(file, '[default]\naws_access_key_id = shared\naws_secret_access_key = s\n');
  expect(await credentialSource(config, {}).current()).toMatchObject({ accessKeyId: 'shared', secretAccessKey: 's' });
  const env = { AWS_ACCESS_KEY_ID: 'environment', AWS_SECRET_ACCESS_KEY: 's', AWS_SESSION_TOKEN: 't' };
  expect(await credentialSource(config, env).current()).toMatchObject({
    accessKeyId: 'environment',
    sessionToken: 't',
  });
});

test('scenario 15: credentials that expire in the middle of an upload are replaced by those of the file, and no byte is lost', async () => {
  const network = await networkBefore(server);
  const file = join(tempDir(), 's3.json');
  write(file, ours(server.root));
  const config = server.config(name, { endpoint: network.endpoint, credentials: { file }, prefix: 'rotated/' });
  // The driver alone: without retries around it, no request may fail.
  const store = openBucketStore(await openS3Bucket(config, { env: {} }), { prefix: config.prefix, pieceBytes });
  const body = randomBytes(4 * pieceBytes + 17);
  async function* rotating() {
    yield body.subarray(0, 2 * pieceBytes);
    await expect.poll(() => network.seen.some((line) => line.includes('partNumber=1&'))).toBe(true);
    write(file, ours(server.rotated));
    network.rules.push({
      header: ['authorization', new RegExp(server.root.accessKeyId)],
      mishap: { kind: 'answer', status: 400, body: xmlError('ExpiredToken', 'The provided token has expired.') },
    });
    yield body.subarray(2 * pieceBytes);
  }
  expect(await store.create('a', Readable.from(rotating()))).toMatchObject({ bytes: body.length });
  expect((await buffer(await store.read('a'))).equals(body)).toBe(true);
});

test('scenario 15: credentials that expired and are not replaced are named, may pass, and hold up nothing for ever', async () => {
  const network = await networkBefore(server);
  network.rules.push({
    mishap: { kind: 'answer', status: 400, body: xmlError('ExpiredToken', 'The provided token has expired.') },
  });
  const bucket = await driverOn(server, name, { endpoint: network.endpoint });
  for (const ask of [
    () => bucket.put('a', Buffer.alloc(1 << 20), call),
    () => bucket.head('a', call),
    () => bucket.putPart('a', 'id', 1, Buffer.from('x'), call),
  ]) {
    const error = await refused(ask());
    expect(error).toMatchObject({
      code: 'credentials-expired',
      permanent: false,
      facts: { storeCode: 'ExpiredToken' },
    });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(server.root.secretAccessKey);
  }
});

test('a key that was replaced and deleted between two requests costs nothing', async () => {
  const env: NodeJS.ProcessEnv = server.env({ accessKeyId: 'deleted-key', secretAccessKey: 'x' });
  const network = await networkBefore(server);
  const bucket = await driverOn(server, name, { env, endpoint: network.endpoint });
  expect(await refused(bucket.put('late', Buffer.alloc(8 << 20), call))).toMatchObject({
    code: 'store-denied',
    facts: { storeCode: 'InvalidAccessKeyId' },
  });
  Object.assign(env, server.env());
  await bucket.put('late', Buffer.alloc(8 << 20), call);
});
