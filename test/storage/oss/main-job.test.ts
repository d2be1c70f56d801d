import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { takeBackup } from '../../../backup/backup.ts';
import { policyOf } from '../../../check/policy/policy.ts';
import { propose } from '../../../check/propose.ts';
import type { Run } from '../../../core/run.ts';
import { runDrill } from '../../../drill/drill.ts';
import { openCluster } from '../../../host/cluster.ts';
import { openHost } from '../../../host/host.ts';
import type { ProtectedCluster } from '../../../postgres/cluster.ts';
import { inspectServer } from '../../../postgres/server.ts';
import { listBackups } from '../../../repository/catalogue.ts';
import { declareEra } from '../../../repository/eras.ts';
import { generateKeyFile } from '../../../repository/key-file.ts';
import { initRepository } from '../../../repository/repository.ts';
import { installHeartbeat } from '../../../wal/heartbeat.ts';
import { runShipper } from '../../../wal/shipper.ts';
import type { Credentials } from '../../support/oss-server/identities.ts';
import type { RamPolicy } from '../../support/oss-server/policy.ts';
import { type OssServer, startOssServer } from '../../support/oss-server/server.ts';
import { alternate, type Cluster, startCluster } from '../../support/postgres.ts';
import { keptTempDir } from '../../support/temp.ts';
import { configOf } from './support.ts';

describe.each(alternate(1))('PostgreSQL %s', (major) => {
  let oss: OssServer;
  let server: Cluster;
  let dir: string;
  let shop: ProtectedCluster;
  let first: Credentials;
  let stopShipping: () => Promise<void>;

  const run: Run = { signal: AbortSignal.timeout(300_000), progress: () => {} };

  /** An hour's credentials with no right beyond what `check --policy` prints, in the file that the host reads. */
  function rotate(): Credentials {
    const { writer } = policyOf(configOf(oss, { prefix: 'pg/' }));
    const session = oss.identities.addSession(new Date(Date.now() + 3_600_000), [writer as RamPolicy]);
    const file = join(dir, 'oss.json');
    writeFileSync(`${file}.new`, JSON.stringify(session), { mode: 0o600 });
    renameSync(`${file}.new`, file);
    return session;
  }

  beforeAll(async () => {
    dir = keptTempDir('oss');
    oss = await startOssServer();
    first = rotate();
    server = await startCluster({ major });
    const configFile = join(dir, 'pgproof.yaml');
    const repository = configOf(oss, { prefix: 'pg/', credentials: { file: join(dir, 'oss.json') } });
    const shopConfig = {
      host: 'db-7',
      connection: { socket: server.socketDir, port: server.port, user: 'postgres' },
      repositories: ['oss'],
      key: 'main',
    };
    const config = {
      hosts: { 'db-7': { state: join(dir, 'state') } },
      repositories: { oss: repository },
      keys: { main: { file: join(dir, 'main.key') } },
      clusters: { shop: shopConfig },
    };
    writeFileSync(configFile, stringify(config));
    const host = await openHost({ configFile, host: 'db-7' });
    await generateKeyFile(join(dir, 'main.key'));
    await initRepository('oss', host.config.repositories.oss!);
    shop = await openCluster(host, 'shop');
    const inspected = await inspectServer(shop.config.connection);
    await declareEra(shop.repository, shop, 'shop', inspected);
    for (const line of propose(shop, inspected).settingsSql.split('\n'))
      if (line.startsWith('ALTER')) await server.sql(line);
    await server.stop();
    await server.start();
    await installHeartbeat(shop);
    const controller = new AbortController();
    const shipper = runShipper(shop, { signal: controller.signal, intervalMs: 200 });
    stopShipping = async () => {
      controller.abort();
      await shipper;
    };
  });
  afterAll(async () => {
    await stopShipping?.();
    await server?.dispose();
    await oss.close();
    rmSync(dir, { recursive: true, force: true });
  });

  test('scenario 15: a backup whose credentials expire half way, to a store that stumbles, is proven by a drill; its policy suffices', {
    timeout: 180_000,
  }, async () => {
    const reached = Promise.withResolvers<void>();
    const rotated = Promise.withResolvers<void>();
    const until = () => {
      reached.resolve();
      return rotated.promise;
    };
    oss.faults = [
      { on: 'PutObject', key: /\/base\//, times: 1, fault: { kind: 'hold', until } },
      { on: 'PutObject', key: /\/base\//, times: 1, fault: { kind: 'reset' } },
      { on: 'PutObject', key: /\/backups\//, times: 1, fault: { kind: 'lose-answer' } },
      { on: 'PutObject', key: /\/wal\//, times: 1, fault: { kind: 'status', status: 503 } },
      { on: 'GetObject', key: /\/base\//, times: 1, fault: { kind: 'truncate', bytes: 5000 } },
    ];
    await server.sql('CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id');
    const backing = takeBackup(shop, run);
    await Promise.race([reached.promise, backing]);
    oss.identities.expire(first);
    const second = rotate();
    rotated.resolve();
    const { id } = await backing;
    expect(await listBackups(shop.repository, shop.keys, 'shop')).toMatchObject([{ id, state: 'whole' }]);

    const drill = await runDrill(shop, { kind: 'probe' }, run);
    expect(drill.checks.filter(({ passed }) => passed !== true)).toEqual([]);
    expect(drill).toMatchObject({ verdict: 'passed', backupId: id });

    expect(oss.faults.map(({ times }) => times)).toEqual([0, 0, 0, 0, 0]);
    expect(new Set(oss.seen.slice(-20).map(({ accessKeyId }) => accessKeyId))).toEqual(new Set([second.accessKeyId]));
    expect(oss.bucket.keys().every((key) => key.startsWith('pg/'))).toBe(true);
    expect(oss.bucket.uploads.size).toBe(0);
  });
});
