import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readControlData } from '../../postgres/control.ts';
import { inspectServer } from '../../postgres/server.ts';
import { findTools } from '../../postgres/tools.ts';
import { supportedMajor } from '../../postgres/version.ts';
import { bin, type Cluster, majors, startCluster } from '../support/postgres.ts';

describe.each(majors)('PostgreSQL %s', (major) => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({
      major,
      freshSystemId: true,
      initdbArgs: ['--wal-segsize=4'],
      tablespaces: ['side'],
      settings: { wal_level: 'replica', archive_timeout: '60s' },
    });
    await cluster.sql('CREATE ROLE plain LOGIN');
    await cluster.sql('CREATE ROLE watcher LOGIN IN ROLE pg_monitor');
  });
  afterAll(() => cluster.dispose());

  const as = (user: string) => ({ socket: cluster.socketDir, port: cluster.port, user, database: 'postgres' });

  test('the server tells its identity, position, settings and tablespaces to a role of pg_monitor', async () => {
    const facts = await inspectServer(as('watcher'));
    const [id] = await cluster.sql('SELECT system_identifier::text AS id FROM pg_control_system()');
    expect(facts).toMatchObject({
      systemId: id?.id,
      major: Number(major),
      segmentBytes: 4 << 20,
      inRecovery: false,
      timeline: 1,
      dataDirectory: cluster.dataDir,
      settings: { wal_level: 'replica', archive_mode: 'off', archive_timeout: '60', max_wal_senders: '10' },
    });
    expect(facts.versionText).toMatch(new RegExp(`^${major}\\.`));
    expect(facts.tablespaces).toEqual([
      { oid: expect.stringMatching(/^\d+$/), name: 'side', path: cluster.tablespaces.side },
    ]);
    expect(facts.insertLsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    expect(Math.abs(Date.parse(facts.clock) - Date.now())).toBeLessThan(60_000);
    expect(facts.platform.minimums).toEqual({
      max_connections: 100,
      max_worker_processes: 8,
      max_wal_senders: 10,
      max_prepared_transactions: 0,
      max_locks_per_transaction: 64,
    });
    expect(facts.platform.collations).toContainEqual({
      database: 'postgres',
      provider: 'libc',
      locale: 'C',
      version: null,
    });
  });

  test('a role with LOGIN alone gets an answer, without what it may not see', async () => {
    const facts = await inspectServer(as('plain'));
    expect(facts.dataDirectory).toBeNull();
    expect(facts.settings).not.toHaveProperty('shared_preload_libraries');
    expect(facts.settings.wal_level).toBe('replica');
  });

  test('pg_controldata says the same as the server', async () => {
    const tools = await findTools('auto', Number(major));
    const control = await readControlData(tools, cluster.dataDir);
    const facts = await inspectServer(as('postgres'));
    expect(control).toMatchObject({
      systemId: facts.systemId,
      segmentBytes: 4 << 20,
      timeline: 1,
      state: 'in production',
    });
    expect(control.minimums).toEqual(facts.platform.minimums);
  });

  test('a standby tells that it is in recovery, and how far', async () => {
    await cluster.stop();
    writeFileSync(join(cluster.dataDir, 'standby.signal'), '');
    await cluster.start();
    const facts = await inspectServer(as('watcher'));
    expect(facts).toMatchObject({
      inRecovery: true,
      timeline: 1,
      insertLsn: expect.stringMatching(/^[0-9A-F]+\/[1-9A-F]/),
    });
  });

  test('tools of the major are found by themselves or in the folder that is named', async () => {
    expect(await findTools(bin(major), Number(major))).toEqual({ bin: bin(major), major: Number(major) });
    expect((await findTools('auto', Number(major))).major).toBe(Number(major));
  });
});

test('tools of another major, an empty folder and a major nobody has are refused by name and package', async () => {
  const [first] = majors as [string];
  await expect(findTools(bin(first), 14)).rejects.toMatchObject({
    code: 'tool-missing',
    message: expect.stringContaining(`is of PostgreSQL ${first}`),
    hint: expect.stringContaining('tools.bin'),
  });
  await expect(findTools('/nonexistent', 15)).rejects.toMatchObject({ code: 'tool-missing', exitCode: 2 });
  await expect(findTools('auto', 9)).rejects.toMatchObject({
    hint: expect.stringContaining('postgresql-9'),
    facts: { major: 9 },
  });
});

// No server of these majors can be had here: the number is what such a server would say (docs/tested.md).
test.each([
  [120_022, '12.22'],
  [90_624, '9.6.24'],
  [190_000, '19.0'],
])('server_version_num %i is not supported', (number, text) => {
  expect(() => supportedMajor(number, text)).toThrow(
    expect.objectContaining({
      code: 'server-unsupported',
      exitCode: 2,
      message: `PostgreSQL ${text} is not supported`,
      hint: expect.stringContaining('13 to 18'),
    }),
  );
});

test.each([
  [130_016, 13],
  [180_006, 18],
])('server_version_num %i is of major %i', (number, major) => {
  expect(supportedMajor(number, '')).toBe(major);
});
