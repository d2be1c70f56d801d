import { writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkReplication } from '../../check/host.ts';
import { propose } from '../../check/propose.ts';
import { checkPageChecksums, checkSettings } from '../../check/settings.ts';
import { configSchema } from '../../core/config.ts';
import { withClient } from '../../postgres/client.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { inspectServer } from '../../postgres/server.ts';
import { archiveCommand } from '../../wal/archive-command.ts';
import { reloadConfig } from '../postgres/reload.ts';
import { type Cluster, majors, startCluster } from '../support/postgres.ts';

describe.each(majors)('PostgreSQL %s', (major) => {
  let server: Cluster;
  let shop: ProtectedCluster;

  beforeAll(async () => {
    server = await startCluster({
      major,
      settings: { wal_level: 'minimal', max_wal_senders: 0, archive_timeout: '2h' },
    });
    const { clusters } = configSchema.parse({
      hosts: { 'db-7': {} },
      repositories: { local: { type: 'file', path: '/r' } },
      clusters: {
        shop: { host: 'db-7', connection: { socket: server.socketDir, port: server.port }, repositories: ['local'] },
      },
    });
    const paths = { scripts: `/it's 100% here/bin`, spool: '/spool' };
    shop = { name: 'shop', host: 'db-7', config: clusters.shop!, paths } as ProtectedCluster;
  });
  afterAll(() => server.dispose());

  const asAdmin = () => ({ ...shop.config.connection, user: 'postgres' });
  const settings = async () => {
    const facts = await inspectServer(asAdmin());
    return withClient(asAdmin(), (client) => checkSettings(client, shop, facts));
  };
  const statuses = async () => Object.fromEntries((await settings()).map(({ name, status }) => [name, status]));
  const run = async (sql: string) => {
    for (const statement of sql.split('\n')) if (!/^(--|$)/.test(statement)) await server.sql(statement);
  };

  test('a server as initdb leaves it, or worse, is told each setting with the statement', async () => {
    const { settings: changes, restart, settingsSql } = propose(shop, await inspectServer(asAdmin()));
    expect(Object.fromEntries(changes.map(({ name, current, proposed }) => [name, [current, proposed]]))).toEqual({
      wal_level: ['minimal', 'replica'],
      archive_mode: ['off', 'on'],
      archive_command: ['(disabled)', archiveCommand(shop.paths)],
      archive_timeout: ['7200', '240s'],
      max_wal_senders: ['0', '10'],
    });
    expect(restart).toBe(true);
    expect(settingsSql).toContain("ALTER SYSTEM SET wal_level = 'replica';");
    expect(await settings()).toContainEqual({
      name: 'archive_timeout',
      status: 'problem',
      detail: expect.stringContaining("archive_timeout is '7200': the objective is to lose at most 300 s"),
      fix: "ALTER SYSTEM SET archive_timeout = '240s'; SELECT pg_reload_conf();",
    });
  });

  test('the proposed SQL, run and restarted, leaves nothing to change, and PostgreSQL holds the very archive_command', async () => {
    await run(propose(shop, await inspectServer(asAdmin())).settingsSql);
    await server.sql('SELECT pg_reload_conf()');
    await server.stop();
    await server.start();
    const facts = await inspectServer(asAdmin());
    expect(facts.settings.archive_command).toBe(archiveCommand(shop.paths));
    expect(propose(shop, facts)).toMatchObject({ settings: [], settingsSql: '', restart: false });
    expect(await statuses()).toEqual({
      wal_level: 'ok',
      archive_mode: 'ok',
      archive_command: 'ok',
      archive_timeout: 'ok',
      max_wal_senders: 'ok',
    });
  });

  test('a value that waits for a restart is told from one that nobody has set', async () => {
    await server.sql("ALTER SYSTEM SET max_wal_senders = '1'");
    await server.stop();
    await server.start();
    await server.sql("ALTER SYSTEM SET max_wal_senders = '5'");
    await reloadConfig(server);
    expect((await settings()).find(({ name }) => name === 'max_wal_senders')).toMatchObject({
      status: 'problem',
      detail: expect.stringContaining('a new value waits for a restart'),
      fix: 'Restart PostgreSQL.',
    });
  });

  test('page checksums that are off are a warning', async () => {
    const facts = await inspectServer(asAdmin());
    const expected = facts.settings.data_checksums === 'on' ? 'ok' : 'warning';
    expect(checkPageChecksums(facts).status).toBe(expected);
  });

  test('the proposed lines of pg_hba.conf and pg_ident.conf let the role in by peer, and for base backups', async () => {
    const { hba, ident, roleSql } = propose(shop, await inspectServer(asAdmin()));
    await server.sql(roleSql);
    writeFileSync(join(server.dataDir, 'pg_hba.conf'), `${hba.join('\n')}\n`);
    writeFileSync(join(server.dataDir, 'pg_ident.conf'), `${ident.join('\n')}\n`);
    await server.stop();
    await server.start();
    expect(ident).toEqual([`pgproof ${userInfo().username} pgproof`]);
    expect((await inspectServer(shop.config.connection)).settings).toHaveProperty('data_directory');
    expect((await checkReplication(shop, new AbortController().signal)).status).toBe('ok');
  });
});

test('by TCP the proposed lines ask for a password, and no name is a keyword by accident', () => {
  const { clusters } = configSchema.parse({
    hosts: { 'db-7': {} },
    repositories: { local: { type: 'file', path: '/r' } },
    clusters: {
      shop: {
        host: 'db-7',
        connection: { host: '10.0.0.8', user: 'all', database: 'My Shop' },
        repositories: ['local'],
      },
    },
  });
  const paths = { scripts: '/b', spool: '/s' } as never;
  const { hba, ident } = propose({ config: clusters.shop!, paths }, { settings: {} });
  expect(hba).toEqual([
    'host  "My Shop" "all" <address of this host>/32 scram-sha-256',
    'host  replication "all" <address of this host>/32 scram-sha-256',
  ]);
  expect(ident).toEqual([]);
  const dumped = { ...clusters.shop!, objectives: { rpo: 300, dump: 86_400 } };
  expect(propose({ config: dumped, paths }, { settings: {} })).toMatchObject({
    hba: ['host  all "all" <address of this host>/32 scram-sha-256', hba[1]],
    roleSql: expect.stringContaining('GRANT pg_read_all_data TO "all"'),
  });
});
