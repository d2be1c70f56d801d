import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkDumps } from '../../check/dumps.ts';
import { checkReplication } from '../../check/host.ts';
import { checkRights } from '../../check/rights.ts';
import { neededRights, roleSql } from '../../check/role.ts';
import { cluster as clusterSchema } from '../../core/config/cluster.ts';
import { configSchema } from '../../core/config.ts';
import { connectionArgs, execute, withClient } from '../../postgres/client.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { withClusterLock } from '../../postgres/lock.ts';
import { runTool } from '../../postgres/run.ts';
import { inspectServer } from '../../postgres/server.ts';
import { createRestorePoint, switchWal } from '../../wal/switch.ts';
import { reloadConfig } from '../postgres/reload.ts';
import { type Cluster, majors, startCluster } from '../support/postgres.ts';
import { tempDir } from '../support/temp.ts';

describe.each(majors)('PostgreSQL %s, as the role that `init` proposes', (major) => {
  let server: Cluster;
  let shop: ProtectedCluster;
  const signal = new AbortController().signal;

  beforeAll(async () => {
    server = await startCluster({ major, settings: { wal_level: 'replica' } });
    const { clusters } = configSchema.parse({
      hosts: { 'db-7': {} },
      repositories: { local: { type: 'file', path: '/r' } },
      clusters: {
        shop: {
          host: 'db-7',
          connection: { socket: server.socketDir, port: server.port, user: 'pg proof' },
          repositories: ['local'],
        },
      },
    });
    shop = { name: 'shop', host: 'db-7', config: clusters.shop! } as ProtectedCluster;
    // Nobody has rights by default here, as on a server that was tightened.
    await server.sql('REVOKE ALL ON DATABASE postgres FROM PUBLIC');
    await server.sql(roleSql(shop.config.connection));
    await server.sql(roleSql(shop.config.connection));
  });
  afterAll(() => server.dispose());

  const rights = () => withClient(shop.config.connection, (client) => checkRights(client, shop.config.connection));

  test('the proposed SQL may be run twice and gives every right, and no superuser', async () => {
    const findings = await rights();
    expect(findings.map(({ name, status }) => [name, status])).toEqual(
      ['replication', 'monitor', 'connect', 'switch-wal', 'restore-point', 'schema'].map((name) => [
        `right-${name}`,
        'ok',
      ]),
    );
    expect(
      await server.sql(
        `SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = 'pg proof'`,
      ),
    ).toEqual([{ rolsuper: false, rolcreatedb: false, rolcreaterole: false, rolbypassrls: false }]);
  });

  test('the role sees every setting, ends segments, names restore points and holds the lock', async () => {
    const facts = await inspectServer(shop.config.connection);
    expect(facts.dataDirectory).toBe(server.dataDir);
    expect(facts.settings).toHaveProperty('shared_preload_libraries');
    expect((await createRestorePoint(shop, 'role test')).lsn).toMatch(/\//);
    expect((await switchWal(shop)).segment).toMatch(/^[0-9A-F]{24}$/);
    const held = await withClusterLock(shop, { operation: 'backup', id: 'x' }, async () => 'held');
    expect(held).toBe('held');
  });

  test('the role takes a base backup', async () => {
    const target = join(tempDir(), 'base');
    const args = [
      ...connectionArgs(shop.config.connection),
      '-D',
      target,
      '-X',
      'none',
      '--checkpoint=fast',
      '--no-sync',
    ];
    const { stderr } = await runTool({ bin: server.bin, major: Number(major) }, 'pg_basebackup', args, {
      signal,
      timeoutSeconds: 120,
    });
    expect(stderr).not.toMatch(/error/i);
    expect((await checkReplication(shop, signal)).status).toBe('ok');
  });

  test('the role makes tables in schema pgproof and nowhere else', async () => {
    const run = (sql: string) => withClient(shop.config.connection, (client) => execute(client, sql));
    await run('CREATE TABLE pgproof.try AS SELECT 1 AS n');
    await run('DROP TABLE pgproof.try');
    await expect(run('CREATE SCHEMA other')).rejects.toMatchObject({ code: 'rights-missing' });
  });

  test('each right that is taken away is found, with the statement that gives it back', async () => {
    const role = '"pg proof"';
    const revocations: Record<string, string> = {
      replication: `ALTER ROLE ${role} NOREPLICATION`,
      monitor: `REVOKE pg_monitor FROM ${role}`,
      'switch-wal': `REVOKE EXECUTE ON FUNCTION pg_switch_wal() FROM ${role}`,
      'restore-point': `REVOKE EXECUTE ON FUNCTION pg_create_restore_point(text) FROM ${role}`,
      schema: 'DROP SCHEMA pgproof CASCADE',
    };
    for (const [name, revoke] of Object.entries(revocations)) {
      await server.sql(revoke);
      const wrong = (await rights()).filter(({ status }) => status !== 'ok');
      expect(wrong).toEqual([
        expect.objectContaining({
          name: `right-${name}`,
          status: 'problem',
          fix: neededRights(shop.config.connection)[name as 'schema'].grant,
        }),
      ]);
      await server.sql(wrong[0]!.fix!);
      expect((await rights()).every(({ status }) => status === 'ok')).toBe(true);
    }
  });

  test('what it cannot dump is found in each database, with the statement that helps; the SQL of a cluster that is dumped is enough', async () => {
    const dumped = (dumps: Record<string, unknown>, schedules: Record<string, unknown> = {}): ProtectedCluster => {
      const parsed = clusterSchema.parse({
        host: 'db-7',
        connection: shop.config.connection,
        repositories: ['r'],
        dumps,
        schedules,
      });
      return { ...shop, config: parsed };
    };
    const look = (cluster: ProtectedCluster) =>
      withClient(shop.config.connection, (client) => checkDumps(client, cluster, { major: Number(major) }, signal));
    const wrong = async (cluster: ProtectedCluster) =>
      (await look(cluster)).filter(({ status }) => status !== 'ok').map(({ name, detail, fix }) => [name, detail, fix]);
    const nightly = dumped({}, { nightly: { run: 'dump', every: '1d' } });
    expect(await look(shop)).toEqual([]); // nobody wants dumps
    await server.sql('CREATE DATABASE "it\'s one"');
    await server.sql('REVOKE CONNECT ON DATABASE "it\'s one" FROM PUBLIC');
    await server.sql('CREATE TABLE public.secret (n int)');
    expect(await wrong(nightly)).toEqual([
      ['dump-rights', expect.stringContaining("it's one"), expect.stringContaining('GRANT CONNECT ON DATABASE')],
      [
        'dump-rights',
        expect.stringContaining('public.secret'),
        expect.stringContaining('GRANT pg_read_all_data TO "pg proof"'),
      ],
    ]);
    await server.sql('GRANT CONNECT ON DATABASE "it\'s one" TO "pg proof"');
    await server.sql(roleSql(shop.config.connection, true));
    expect(await wrong(nightly)).toEqual([]);
    await server.sql('ALTER TABLE public.secret ENABLE ROW LEVEL SECURITY');
    expect(await wrong(nightly)).toEqual([
      [
        'dump-rights',
        expect.stringContaining('public.secret'),
        expect.stringContaining('ALTER ROLE "pg proof" BYPASSRLS'),
      ],
    ]);
    await server.sql('DROP TABLE public.secret');
    await server.sql('SELECT lo_create(7)');
    expect(await wrong(nightly)).toEqual([
      [
        'dump-rights',
        "role 'pg proof' may not read large object 7 of 'postgres'",
        expect.stringContaining('ALTER ROLE "pg proof" SET lo_compat_privileges = on'),
      ],
    ]);
    await server.sql('ALTER ROLE "pg proof" SET lo_compat_privileges = on');
    expect(await wrong(nightly)).toEqual([]);
    expect(await wrong(dumped({ databases: ['postgres', 'gone'] }))).toMatchObject([
      ['dump-databases', "the server has no database 'gone'", expect.stringContaining('It has ')],
    ]);
    expect(await wrong(dumped({ perDatabase: { gone: { jobs: 2 } } }))).toMatchObject([
      ['dump-databases', "the server has no database 'gone'", expect.anything()],
    ]);
    const elsewhere = { ...nightly, config: { ...nightly.config, tools: { bin: '/nowhere' } } } as ProtectedCluster;
    expect(await wrong(elsewhere)).toMatchObject([
      ['dump-tools', expect.stringMatching(/^no pg_dump/), expect.anything()],
    ]);
    const contained = { ...nightly, config: { ...nightly.config, tools: { bin: 'auto', docker: 'no-such-one' } } };
    expect(await wrong(contained as ProtectedCluster)).toMatchObject([
      ['dump-tools', expect.stringContaining('no-such-one'), expect.anything()],
    ]);
    await server.sql('DROP DATABASE "it\'s one"');
  });

  test('a superuser has every right, and a warning', async () => {
    const connection = { ...shop.config.connection, user: 'postgres' };
    const findings = await withClient(connection, (client) => checkRights(client, connection));
    expect(findings.filter(({ status }) => status !== 'ok')).toEqual([
      expect.objectContaining({ name: 'superuser', status: 'warning' }),
    ]);
  });

  test('a role that pg_hba.conf lets in, but not to replication, is refused by name', async () => {
    const hba = join(server.dataDir, 'pg_hba.conf');
    writeFileSync(hba, 'local all all trust\n');
    await reloadConfig(server);
    expect(await checkReplication(shop, signal)).toMatchObject({
      status: 'problem',
      detail: expect.stringContaining('no pg_hba.conf entry for replication connection'),
      fix: expect.stringMatching(
        /local replication "pg proof" peer map=pgproof\nand to pg_ident.conf:\npgproof \S+ "pg proof"\n/,
      ),
    });
    appendFileSync(hba, 'local replication all trust\n');
    await reloadConfig(server);
    expect((await checkReplication(shop, signal)).status).toBe('ok');
  });
});
