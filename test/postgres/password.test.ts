import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ConnectionConfig } from '../../core/config.ts';
import { findInPgpass, readPassword, secretEnv } from '../../postgres/password.ts';
import { tempDir } from '../support/temp.ts';

const tcp: ConnectionConfig = { host: 'db-7', port: 5432, user: 'pgproof', database: 'postgres' };

beforeEach(() => {
  vi.stubEnv('PGPASSWORD', undefined);
  vi.stubEnv('PGPASSFILE', '/nonexistent/pgpass');
});
afterEach(() => void vi.unstubAllEnvs());

function secretFile(content: string, mode: number): string {
  const path = join(tempDir(), 'secret');
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

test('a password file is read anew each time, without its last line break', async () => {
  const file = secretFile('one\n', 0o600);
  expect(await readPassword({ ...tcp, password: { file } })).toBe('one');
  writeFileSync(file, 'two');
  expect(await readPassword({ ...tcp, password: { file } })).toBe('two');
  expect(await secretEnv({ ...tcp, password: { file } })).toEqual({ PGPASSWORD: 'two' });
});

test('a password file that others can read is refused by its mode and with the command that closes it', async () => {
  const file = secretFile('hunter2', 0o640);
  await expect(readPassword({ ...tcp, password: { file } })).rejects.toMatchObject({
    code: 'password-open',
    message: `the password file '${file}' has mode 0640: others can read it`,
    hint: `Run: chmod 600 '${file}'`,
  });
});

test('a missing or empty password file and an unset variable say what is missing', async () => {
  const missing = { code: 'password-missing' };
  await expect(readPassword({ ...tcp, password: { file: '/nonexistent/pw' } })).rejects.toMatchObject({
    ...missing,
    message: expect.stringContaining('/nonexistent/pw'),
  });
  await expect(readPassword({ ...tcp, password: { file: secretFile('\n', 0o600) } })).rejects.toMatchObject(missing);
  await expect(readPassword({ ...tcp, password: { env: 'PGPROOF_NO_SUCH' } })).rejects.toMatchObject({
    ...missing,
    message: 'the environment variable PGPROOF_NO_SUCH holds no password',
  });
});

test('without a configured password PGPASSWORD counts, then .pgpass, then none', async () => {
  expect(await readPassword(tcp)).toBeUndefined();
  vi.stubEnv('PGPASSFILE', secretFile('db-7:5432:*:pgproof:from pgpass\n', 0o600));
  expect(await readPassword(tcp)).toBe('from pgpass');
  vi.stubEnv('PGPASSWORD', 'from environment');
  expect(await readPassword(tcp)).toBe('from environment');
});

test('a .pgpass that others can read is not used, as with libpq', async () => {
  vi.stubEnv('PGPASSFILE', secretFile('*:*:*:*:open\n', 0o644));
  expect(await readPassword(tcp)).toBeUndefined();
});

test('.pgpass takes the first line that fits, with wildcards, escapes and comments', () => {
  const text = [
    '# db-7:5432:postgres:pgproof:comment',
    'db-8:*:*:*:other host',
    'db-7:5433:*:*:other port',
    'db-7:5432:shop:*:other database',
    'db-7:5432:postgres:pgproof:with\\:colon and \\\\',
    '*:*:*:*:late',
  ].join('\n');
  expect(findInPgpass(text, tcp)).toBe('with:colon and \\');
  expect(findInPgpass(text, { ...tcp, host: 'db-9' })).toBe('late');
  expect(findInPgpass('::::x', tcp)).toBeUndefined();
});

test('.pgpass knows a socket by its folder or as localhost', () => {
  const socket: ConnectionConfig = { socket: '/run/pg', port: 5432, user: 'pgproof', database: 'postgres' };
  expect(findInPgpass('/run/pg:*:*:*:a', socket)).toBe('a');
  expect(findInPgpass('localhost:*:*:*:b', socket)).toBe('b');
});
