import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import * as z from 'zod';
import type { ConnectionConfig } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import { execute, query, queryOne, withClient } from '../../postgres/client.ts';
import { freePort } from '../support/ports.ts';
import { alternate, type Cluster, startCluster } from '../support/postgres.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { reloadConfig } from './reload.ts';

const [major] = alternate(0) as [string];
const secret = 'correct horse 4711';
let cluster: Cluster;
let admin: ConnectionConfig;

beforeAll(async () => {
  const port = await freePort();
  cluster = await startCluster({ major, settings: { listen_addresses: '127.0.0.1' }, port });
  admin = { socket: cluster.socketDir, port: cluster.port, user: 'postgres', database: 'postgres' };
  await cluster.sql(`CREATE ROLE pgproof LOGIN PASSWORD '${secret}'`);
  await cluster.sql('CREATE ROLE walled LOGIN');
  const hba = ['local all postgres trust', 'host all pgproof 127.0.0.1/32 scram-sha-256'];
  writeFileSync(join(cluster.dataDir, 'pg_hba.conf'), `${hba.join('\n')}\n`);
  await reloadConfig(cluster);
});
afterAll(() => cluster.dispose());
afterEach(() => void vi.unstubAllEnvs());

const tcp = (password?: ConnectionConfig['password']): ConnectionConfig => ({
  host: '127.0.0.1',
  port: cluster.port,
  user: 'pgproof',
  database: 'postgres',
  password,
});

const connectTo = (connection: ConnectionConfig) => withClient(connection, async () => 'in');

function passwordFile(content: string): { file: string } {
  const file = join(tempDir(), 'password');
  writeFileSync(file, content);
  chmodSync(file, 0o600);
  return { file };
}

async function failure(work: Promise<unknown>): Promise<PgproofError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(PgproofError);
  return error as PgproofError;
}

test('a password comes from a file, from the environment, or from .pgpass', async () => {
  expect(await connectTo(tcp(passwordFile(`${secret}\n`)))).toBe('in');
  vi.stubEnv('SHOP_PASSWORD', secret);
  expect(await connectTo(tcp({ env: 'SHOP_PASSWORD' }))).toBe('in');
  vi.stubEnv('PGPASSFILE', passwordFile(`127.0.0.1:*:*:pgproof:${secret}\n`).file);
  expect(await connectTo(tcp())).toBe('in');
});

test('a wrong password is refused for good, without a word of it', async () => {
  const error = await failure(connectTo(tcp(passwordFile('wrong horse 4712'))));
  expect(error).toMatchObject({
    code: 'server-refused',
    permanent: true,
    exitCode: 2,
    facts: { sqlstate: '28P01', user: 'pgproof', port: cluster.port },
    hint: expect.stringContaining("password of 'pgproof' is wrong"),
  });
  expect(JSON.stringify(error.toDocument())).not.toContain('4712');
});

test('a password that is needed and absent is missing, not wrong', async () => {
  vi.stubEnv('PGPASSFILE', '/nonexistent/pgpass');
  vi.stubEnv('PGPASSWORD', undefined);
  expect(await failure(connectTo(tcp()))).toMatchObject({
    code: 'password-missing',
    exitCode: 2,
    hint: expect.stringContaining('.pgpass'),
  });
});

test('a role that pg_hba.conf does not admit is told the file and the reload', async () => {
  const error = await failure(connectTo({ ...admin, user: 'walled' }));
  expect(error).toMatchObject({ code: 'server-refused', facts: { sqlstate: '28000' } });
  expect(error.message).toContain('no pg_hba.conf entry');
  expect(error.hint).toContain('SELECT pg_reload_conf();');
});

test('a database that does not exist is refused with the key that names it', async () => {
  const error = await failure(connectTo({ ...admin, database: 'nope' }));
  expect(error).toMatchObject({
    code: 'server-refused',
    facts: { sqlstate: '3D000', database: 'nope' },
    hint: expect.stringContaining('connection.database'),
  });
});

test('no server at a socket or a port is unreachable, and may pass', async () => {
  const socket = await failure(connectTo({ ...admin, port: 1 }));
  expect(socket).toMatchObject({ code: 'server-unreachable', permanent: false, exitCode: 1 });
  expect(socket.message).toContain(`${cluster.socketDir}/.s.PGSQL.1`);
  expect(socket.hint).toContain('unix_socket_directories');
  expect(await failure(connectTo({ ...tcp(), port: 1 }))).toMatchObject({
    code: 'server-unreachable',
    facts: { port: 1 },
  });
});

test('something that accepts connections and never answers is unreachable after the connect timeout', async () => {
  const silent = await listen();
  try {
    const { port } = silent.address() as { port: number };
    const attempt = withClient({ ...tcp(), port }, async () => 'in', { connectTimeoutSeconds: 1 });
    expect(await failure(attempt)).toMatchObject({ code: 'server-unreachable' });
  } finally {
    await new Promise((resolve) => silent.close(resolve));
  }
});

test('a missing right, a broken statement and a statement that takes too long are told apart by SQLSTATE', async () => {
  const asRole = (sql: string, seconds = 30) =>
    failure(
      withClient(tcp(passwordFile(secret)), (client) => execute(client, sql), { statementTimeoutSeconds: seconds }),
    );
  expect(await asRole('SELECT pg_switch_wal()')).toMatchObject({
    code: 'rights-missing',
    facts: { sqlstate: '42501' },
    exitCode: 2,
  });
  expect(await asRole('SELECT 1 / 0 AS hunter2')).toMatchObject({
    code: 'sql-failed',
    facts: { sqlstate: '22012', statement: 'SELECT' },
  });
  expect(await asRole('SELECT pg_sleep(60)', 1)).toMatchObject({ code: 'timeout', permanent: false });
});

test('rows are checked at the edge, and times are ISO whatever DateStyle the role has', async () => {
  await cluster.sql("ALTER ROLE pgproof SET datestyle = 'German'");
  await withClient(tcp(passwordFile(secret)), async (client) => {
    const row = await queryOne(
      client,
      `SELECT 7 AS n, '2026-11-20 14:05:00+00'::timestamptz AS at`,
      [],
      z.object({ n: z.number(), at: z.date() }),
    );
    expect(row).toEqual({ n: 7, at: new Date('2026-11-20T14:05:00Z') });
    await expect(query(client, `SELECT 'x' AS n`, [], z.object({ n: z.number() }))).rejects.toThrow(/expected number/);
  });
});

test('an abort cuts the connection, and the waiting query fails with the reason', async () => {
  const controller = new AbortController();
  const reason = new PgproofError('timeout', 'the drill took too long');
  const name = 'pgproof test abort';
  const work = withClient(admin, (client) => execute(client, 'SELECT pg_sleep(60)'), {
    signal: controller.signal,
    applicationName: name,
  });
  const failed = failure(work);
  await until(async () => (await sessions(name)) === 1);
  controller.abort(reason);
  expect(await failed).toBe(reason);
  await cluster.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [name]);
  expect(await failure(withClient(admin, async () => 'in', { signal: controller.signal }))).toBe(reason);
});

test('a session that the server ends fails its query as unreachable, and the process lives', async () => {
  const work = withClient(admin, (client) => execute(client, 'SELECT pg_terminate_backend(pg_backend_pid())'));
  expect(await failure(work)).toMatchObject({ code: 'server-unreachable', permanent: false });
});

async function sessions(name: string): Promise<number> {
  return (await cluster.sql('SELECT 1 FROM pg_stat_activity WHERE application_name = $1', [name])).length;
}

async function listen(): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => {}).resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

describe('a server that asks for encryption by TCP', () => {
  beforeAll(async () => {
    const openssl = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=db-7',
    ];
    execFileSync('openssl', [...openssl, '-keyout', 'server.key', '-out', 'server.crt'], {
      cwd: cluster.dataDir,
      stdio: 'ignore',
    });
    await cluster.sql("ALTER SYSTEM SET ssl = 'on'");
  });

  const encrypted = (connection: ConnectionConfig) =>
    withClient(connection, (client) =>
      queryOne(client, 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()', [], z.object({ ssl: z.boolean() })),
    );
  const admit = async (line: string) => {
    writeFileSync(
      join(cluster.dataDir, 'pg_hba.conf'),
      `local all postgres trust\n${line} all pgproof 127.0.0.1/32 trust\n`,
    );
    await reloadConfig(cluster);
  };

  test('is spoken to encrypted, as the tools do', async () => {
    await admit('hostssl');
    expect(await encrypted(tcp())).toEqual({ ssl: true });
  });

  test('is spoken to plain where pg_hba.conf admits nothing else', async () => {
    await admit('hostnossl');
    expect(await encrypted(tcp())).toEqual({ ssl: false });
  });

  test('is refused once, by name, where nothing is admitted', async () => {
    await admit('#');
    expect(await failure(encrypted(tcp()))).toMatchObject({ code: 'server-refused', facts: { sqlstate: '28000' } });
  });
});
