import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import type { OssConfig } from '../../../core/config.ts';
import type { PgproofError } from '../../../core/errors.ts';
import { openCredentials } from '../../../storage/oss/credentials.ts';
import { Refreshing } from '../../../storage/oss/refreshing.ts';
import { Connections } from '../../../storage/oss/transport.ts';
import { type CredentialService, startMetadata, startSts } from '../../support/oss-server/credential-services.ts';
import { Identities } from '../../support/oss-server/identities.ts';
import { tempDir } from '../../support/temp.ts';

const role = 'acs:ram::1234567890123456:role/pgproof';
const { signal } = new AbortController();

function open(
  credentials: OssConfig['credentials'],
  env: NodeJS.ProcessEnv = {},
  services = { metadata: '', sts: '' },
) {
  const config = { region: 'cn-hangzhou', endpoint: 'public', credentials } as const;
  return openCredentials(config, env, new Connections(), services);
}

async function service(starting: Promise<CredentialService>): Promise<CredentialService> {
  const started = await starting;
  onTestFinished(() => started.close());
  return started;
}

async function failure(promise: Promise<unknown>): Promise<PgproofError> {
  return promise.then(
    () => {
      throw new Error('it succeeded');
    },
    (error: PgproofError) => error,
  );
}

test('the environment gives credentials, and what it lacks is named before anything is asked', async () => {
  const env = { OSS_ACCESS_KEY_ID: 'id', OSS_ACCESS_KEY_SECRET: 'secret', OSS_SESSION_TOKEN: 'token' };
  expect(await open(undefined, env).current(signal)).toEqual({
    accessKeyId: 'id',
    accessKeySecret: 'secret',
    securityToken: 'token',
  });
  expect(await open(undefined, { ...env, OSS_SESSION_TOKEN: '' }).current(signal)).not.toHaveProperty('securityToken');
  const missing = { code: 'credentials-missing', permanent: true };
  expect(() => open(undefined, { OSS_ACCESS_KEY_ID: 'id' })).toThrow(
    expect.objectContaining({ ...missing, facts: { missing: ['OSS_ACCESS_KEY_SECRET'] } }),
  );
  expect(() => open(undefined, {})).toThrow(
    'no credentials for OSS: OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET not set',
  );
});

test('a credentials file is read again when it has changed, and only then', async () => {
  const file = join(tempDir('keys'), 'oss.json');
  const write = (text: string, mode = 0o600) => {
    writeFileSync(`${file}.new`, text, { mode });
    renameSync(`${file}.new`, file);
  };
  write('{"accessKeyId":"one","accessKeySecret":"s"}');
  const source = open({ file });
  const first = await source.current(signal);
  expect(first).toEqual({ accessKeyId: 'one', accessKeySecret: 's' });
  expect(await source.current(signal)).toBe(first);
  write('{"accessKeyId":"two","accessKeySecret":"s","securityToken":"t","expiration":"2099-01-01T00:00:00Z"}');
  expect(await source.current(signal)).toMatchObject({ accessKeyId: 'two', expiresAt: new Date('2099-01-01') });
});

test('a credentials file that is being written does no harm while the old credentials hold', async () => {
  const file = join(tempDir('keys'), 'oss.json');
  writeFileSync(file, '{"accessKeyId":"one","accessKeySecret":"s"}', { mode: 0o600 });
  const source = open({ file });
  const first = await source.current(signal);
  writeFileSync(file, '{"accessKeyId":"tw');
  expect(await source.current(signal)).toBe(first);
  rmSync(file);
  expect(await source.current(signal)).toBe(first);
  source.refused(first);
  expect(await failure(source.current(signal))).toMatchObject({ code: 'credentials-missing' });
});

test('a credentials file that is absent, open to others, or wrong is named, and nothing of what it holds', async () => {
  const file = join(tempDir('keys'), 'oss.json');
  const current = () => open({ file }).current(signal);
  expect(await failure(current())).toMatchObject({ code: 'credentials-missing', facts: { path: file } });
  const secret = 'Qx7-secret-of-the-file';
  writeFileSync(file, `{"accessKeyId":"a","accessKeySecret":"${secret}"}`, { mode: 0o640 });
  expect((await failure(current())).toDocument()).toMatchObject({
    message: `the credentials file '${file}' has mode 0640: others can read it`,
    hint: `Make it private: chmod 600 ${file}`,
  });
  chmodSync(file, 0o600);
  await current();
  for (const [text, what] of [
    [`{"accessKeySecret":"${secret}"`, 'the whole'],
    [`{"accessKeySecret":"${secret}"}`, 'accessKeyId'],
    [`{"accessKeyId":"a","accessKeySecret":"${secret}","expiration":"soon ${secret}"}`, 'expiration'],
    [`"${secret}"`, 'the whole'],
  ] as const) {
    writeFileSync(file, text);
    const error = await failure(current());
    expect(error.message).toContain(what);
    expect(inspect(error, { depth: 20 })).not.toContain(secret);
  }
});

test('credentials of a file whose expiration is over are named as expired, and may be replaced', async () => {
  const file = join(tempDir('keys'), 'oss.json');
  const text = '{"accessKeyId":"a","accessKeySecret":"s","securityToken":"t","expiration":"2020-01-01T00:00:00Z"}';
  writeFileSync(file, text, { mode: 0o600 });
  expect(await failure(open({ file }).current(signal))).toMatchObject({
    code: 'credentials-expired',
    permanent: false,
    facts: { expiredAt: '2020-01-01T00:00:00.000Z' },
  });
});

test('an ECS role gives credentials by the hardened metadata service, once for all who wait', async () => {
  const metadata = await service(startMetadata(new Identities(), 'pgproof'));
  const services = { metadata: metadata.address, sts: '' };
  const source = open({ ecsRole: 'pgproof' }, {}, services);
  const all = await Promise.all(Array.from({ length: 5 }, () => source.current(signal)));
  expect(new Set(all).size).toBe(1);
  expect(all[0]).toMatchObject(metadata.given[0] as object);
  expect(metadata.given).toHaveLength(1);
  expect(await failure(open({ ecsRole: 'other' }, {}, services).current(signal))).toMatchObject({
    code: 'credentials-missing',
    message: "this ECS instance has no RAM role 'other'",
  });
  metadata.failing = 500;
  expect(await failure(open({ ecsRole: 'pgproof' }, {}, services).current(signal))).toMatchObject({
    code: 'store-unreachable',
  });
  await metadata.close();
  expect(await failure(open({ ecsRole: 'pgproof' }, {}, services).current(signal))).toMatchObject({
    code: 'store-unreachable',
    hint: expect.stringContaining('ECS'),
  });
});

test('a role is assumed by STS with the keys of the environment', async () => {
  const identities = new Identities();
  const user = identities.addUser();
  const sts = await service(startSts(identities, role, user));
  const env = { OSS_ACCESS_KEY_ID: user.accessKeyId, OSS_ACCESS_KEY_SECRET: user.accessKeySecret };
  const services = { metadata: '', sts: sts.address };
  expect(await open({ assumeRole: role }, env, services).current(signal)).toMatchObject(sts.given[0] ?? { none: true });
  expect(await failure(open({ assumeRole: `${role}2` }, env, services).current(signal))).toMatchObject({
    code: 'store-denied',
    facts: { storeCode: 'EntityNotExist.Role' },
    hint: expect.stringContaining('ARN'),
  });
  const wrong = { ...env, OSS_ACCESS_KEY_SECRET: 'not-the-secret' };
  const error = await failure(open({ assumeRole: role }, wrong, services).current(signal));
  expect(error).toMatchObject({ code: 'store-denied', facts: { storeCode: 'SignatureDoesNotMatch' } });
  expect(inspect(error, { depth: 20 })).not.toContain('not-the-secret');
  sts.failing = 503;
  expect(await failure(open({ assumeRole: role }, env, services).current(signal))).toMatchObject({
    code: 'store-unreachable',
  });
  expect(() => open({ assumeRole: role }, { ...env, OSS_SESSION_TOKEN: 't' }, services)).toThrow(
    'temporary credentials cannot assume a role',
  );
});

/** Credentials by number, good for an hour; a clock and an availability that the test sets. */
function rotating() {
  const state = { now: 0, away: false, asked: 0 };
  const source = new Refreshing(
    async () => {
      state.asked += 1;
      if (state.away) throw new Error('away');
      return {
        accessKeyId: String(state.asked),
        accessKeySecret: 's',
        expiresAt: new Date(state.now + 3_600_000),
      };
    },
    () => state.now,
  );
  const current = async () => {
    const { accessKeyId } = await source.current(signal);
    // What is refreshed behind the caller's back is done in a few turns.
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
    return accessKeyId;
  };
  return { state, source, current };
}

const minutes = (count: number) => count * 60_000;

test('temporary credentials are refreshed ten minutes before they expire, and nobody waits for it', async () => {
  const { state, current } = rotating();
  expect(await current()).toBe('1');
  state.now = minutes(49);
  expect(await current()).toBe('1');
  expect(state.asked).toBe(1);
  state.now = minutes(51);
  expect(await current()).toBe('1');
  expect(await current()).toBe('2');
  expect(state.asked).toBe(2);
});

test('a refresh that fails is tried again with growing pauses while the old credentials hold, then fails who asks', async () => {
  const { state, current } = rotating();
  await current();
  state.away = true;
  state.now = minutes(51);
  const asked: number[] = [];
  for (let second = 0; second < 40; second += 1) {
    expect(await current()).toBe('1');
    asked.push(state.asked - 1);
    state.now += 1000;
  }
  expect(asked.filter((count, second) => count !== (asked[second - 1] ?? 0)).length).toBe(asked.at(-1));
  // After 0, 1, 3, 7, 15 and 31 seconds.
  expect(asked.at(-1)).toBe(6);
  state.now = minutes(61);
  await expect(current()).rejects.toThrow('away');
  state.away = false;
  expect(await current()).not.toBe('1');
});

test('credentials that the store refuses are given up at once, those that followed are not', async () => {
  const { state, source, current } = rotating();
  const first = await source.current(signal);
  source.refused(first);
  expect(await current()).toBe('2');
  source.refused(first);
  expect(await current()).toBe('2');
  expect(state.asked).toBe(2);
});

test('whoever waits for credentials that do not come is let go', async () => {
  const source = new Refreshing(() => new Promise(() => {}));
  const abort = new AbortController();
  const waiting = failure(source.current(abort.signal));
  abort.abort(new DOMException('over', 'TimeoutError'));
  expect(await waiting).toMatchObject({ code: 'timeout' });
});
