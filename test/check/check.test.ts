import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { check, type Finding } from '../../check/check.ts';
import { propose } from '../../check/propose.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { inspectServer } from '../../postgres/server.ts';
import { currentEra } from '../../repository/eras.ts';
import { listWal } from '../../repository/wal.ts';
import { runShipper } from '../../wal/shipper.ts';
import { openShop } from '../host/opened.ts';
import { type Cluster, majors, startCluster } from '../support/postgres.ts';
import { keptTempDir } from '../support/temp.ts';

describe.each(majors)('PostgreSQL %s', (major) => {
  let server: Cluster;
  let dir: string;
  let shop: ProtectedCluster;
  const { signal } = new AbortController();

  beforeAll(async () => {
    server = await startCluster({ major, start: false });
    // Since 18 initdb turns them on by itself.
    if (major === '15') await promisify(execFile)(join(server.bin, 'pg_checksums'), ['--enable', '-D', server.dataDir]);
    await server.start();
    dir = keptTempDir();
    shop = await openShop(server, dir, { user: 'pgproof', era: true });
  });
  afterAll(async () => {
    await server.dispose();
    rmSync(dir, { recursive: true, force: true });
  });

  const run = async (sql: string) => {
    for (const statement of sql.split('\n')) if (!/^(--|$)/.test(statement)) await server.sql(statement);
  };
  const wrong = (findings: readonly Finding[]) => findings.filter(({ status }) => status !== 'ok');
  const names = (findings: readonly Finding[]) => findings.map(({ name }) => name);

  test('a server whose role does not exist is one problem, and what hangs on it is not tried', async () => {
    const findings = await check(shop, { signal });
    expect(wrong(findings)).toEqual([
      expect.objectContaining({
        name: 'server',
        status: 'problem',
        detail: expect.stringContaining('"pgproof" does not exist'),
      }),
      expect.objectContaining({ name: 'shipper', status: 'warning' }),
      expect.objectContaining({
        name: 'archive-round-trip',
        status: 'problem',
        detail: 'not tried: first mend server',
      }),
    ]);
  });

  test('a fresh server has problems with statements, and the round trip names those it waits for', async () => {
    await run(propose(shop, await inspectServer({ ...shop.config.connection, user: 'postgres' })).roleSql);
    const findings = wrong(await check(shop, { signal }));
    expect(names(findings)).toEqual([
      'archive_mode',
      'archive_command',
      'archive_timeout',
      'heartbeat',
      'shipper',
      'archive-round-trip',
    ]);
    expect(findings.at(-1)?.detail).toBe('not tried: first mend archive_mode, archive_command');
    for (const { fix } of findings) expect(fix).not.toBeNull();
  });

  test('with everything put right as it says, a real segment goes the whole way, by the least-privilege role', async () => {
    await run(propose(shop, await inspectServer(shop.config.connection)).settingsSql);
    await server.sql('CREATE TABLE pgproof.heartbeat ()');
    await server.stop();
    await server.start();
    const findings = await check(shop, { signal });
    expect(names(wrong(findings))).toEqual(['shipper']);
    const trip = findings.find(({ name }) => name === 'archive-round-trip');
    const [, segment = ''] = /^segment ([0-9A-F]{24}) went/.exec(trip?.detail ?? '') ?? [];
    const era = await currentEra(shop.repository, 'shop');
    expect([...(await listWal(shop.repository, 'shop', era!.era)).keys()]).toContain(segment);
  });

  test('a running shipper does the shipping, and is seen', async () => {
    const controller = new AbortController();
    const shipper = runShipper(shop, { signal: controller.signal });
    try {
      await expect.poll(async () => wrong(await check(shop, { signal })), { timeout: 50_000 }).toEqual([]);
    } finally {
      controller.abort();
      await shipper;
    }
  });

  test('a key that is missing, an era of another server and an archiver that fails are found', async () => {
    const other = { ...shop, keys: { ...shop.keys, current: null } };
    expect(wrong(await check(other, { signal }))).toContainEqual(
      expect.objectContaining({ name: 'key', status: 'warning', detail: 'not encrypted, not authenticated' }),
    );

    await server.sql("ALTER SYSTEM SET archive_command = 'exit 1'");
    await server.sql('SELECT pg_reload_conf()');
    await server.sql('SELECT pg_switch_wal()');
    await server.sql('SELECT txid_current()');
    await server.sql('SELECT pg_switch_wal()');
    await expect
      .poll(async () => wrong(await check(shop, { signal })), { timeout: 50_000 })
      .toContainEqual(
        expect.objectContaining({
          name: 'archiver',
          detail: expect.stringContaining('archive_command fails: last with '),
        }),
      );
  });
});
