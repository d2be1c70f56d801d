import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { takeBackup } from '../../backup/backup.ts';
import { propose } from '../../check/propose.ts';
import type { Run } from '../../core/run.ts';
import { runDrill } from '../../drill/drill.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { inspectServer } from '../../postgres/server.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { beat, installHeartbeat } from '../../wal/heartbeat.ts';
import { runShipper } from '../../wal/shipper.ts';
import { openShop } from '../host/opened.ts';
import { type Cluster, majors, startCluster } from '../support/postgres.ts';
import { keptTempDir } from '../support/temp.ts';

describe.each(majors)('PostgreSQL %s', (major) => {
  let server: Cluster;
  let dir: string;
  let shop: ProtectedCluster;
  let stopShipping: () => Promise<void>;

  beforeAll(async () => {
    server = await startCluster({ major });
    dir = keptTempDir();
    await server.sql('CREATE ROLE pgproof');
    shop = await openShop(server, dir, { user: 'pgproof' });
    const { roleSql, settingsSql } = propose(
      shop,
      await inspectServer({ ...shop.config.connection, user: 'postgres' }),
    );
    await server.sql(roleSql);
    for (const line of settingsSql.split('\n')) if (line.startsWith('ALTER')) await server.sql(line);
    // A table that the role has no right to: a backup needs none.
    await server.sql('CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id');
    await server.sql('REVOKE ALL ON SCHEMA public FROM PUBLIC');
    await server.stop();
    await server.start();
    const controller = new AbortController();
    const shipper = runShipper(shop, { signal: controller.signal, intervalMs: 200 });
    stopShipping = async () => {
      controller.abort();
      await shipper;
    };
  });
  afterAll(async () => {
    await stopShipping?.();
    await server.dispose();
    rmSync(dir, { recursive: true, force: true });
  });

  const run: Run = { signal: AbortSignal.timeout(300_000), progress: () => {} };

  test('heartbeat, backup and drill need nothing beyond the least-privilege role', { timeout: 180_000 }, async () => {
    await installHeartbeat(shop);
    expect((await beat(shop)).sequence).toBeDefined();
    const { id } = await takeBackup(shop, run);
    expect(await listBackups(shop.repository, shop.keys, 'shop')).toMatchObject([{ id, state: 'whole' }]);
    const drill = await runDrill(shop, { kind: 'probe' }, run);
    expect(drill.checks.filter(({ passed }) => passed !== true)).toEqual([]);
    expect(drill).toMatchObject({ verdict: 'passed', backupId: id });
    expect(await server.sql(`SELECT rolsuper FROM pg_roles WHERE rolname = 'pgproof'`)).toEqual([{ rolsuper: false }]);
  });
});
