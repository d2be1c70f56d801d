import { execFileSync } from 'node:child_process';
import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { shipOnce } from '../../wal/shipper.ts';
import { spoolAt } from '../../wal/spool.ts';
import { alternate } from '../support/postgres.ts';
import { keptTempDir } from '../support/temp.ts';
import { archived, ask, openRestoreStage, type RestoreStage, withServer } from './support.ts';

const now = `to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/*
 * A failover inside of a segment: the old primary finishes and archives it, with what it went on writing; the new one's is
 * not finished yet. A target in what the old one went on writing would bring back rows that no server has.
 */
describe.each(alternate(0))('scenario 22: WAL that an old primary wrote behind the switch, PostgreSQL %s', (major) => {
  let stage: RestoreStage;
  let abandoned: { time: string; lsn: string };

  beforeAll(async () => {
    stage = await openRestoreStage({ major, server: { initdbArgs: ['--wal-segsize=1'] } });
    const { server } = stage;
    await server.sql('CREATE TABLE orders (n int)');
    await stage.backup();
    await server.sql('INSERT INTO orders VALUES (1)');
    await server.sql('INSERT INTO orders VALUES (2)');
    await server.stop('immediate');
    const folder = keptTempDir('old');
    try {
      execFileSync('cp', ['-a', server.dataDir, join(folder, 'data')]);
      writeFileSync(join(server.dataDir, 'standby.signal'), '');
      await server.start();
      await server.sql('SELECT pg_promote()');
      await archived(server);
      await ship(); // adopts timeline 2
      abandoned = await archiveAsOldPrimary(folder);
      await ship();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
  afterAll(() => stage?.dispose());

  test.each(['time', 'lsn'] as const)('is no place that a restore can be asked to stop at: %s', async (type) => {
    const to = type === 'time' ? abandoned.time : `lsn:${abandoned.lsn}`;
    await expect(stage.plan(to)).rejects.toMatchObject({ code: 'target-unreachable' });
  });

  test('the newest target that is offered in place of latest is before the switch, and holds nothing of it', async () => {
    const refusal = await stage.plan('latest').catch((error) => error);
    expect(refusal).toMatchObject({ code: 'target-unreachable', facts: { nearestBefore: expect.any(String) } });
    const { plan } = await stage.restore(refusal.facts.nearestBefore);
    const rows = await ask<{ n: number }>(stage.server.bin, plan.into, 'SELECT n FROM orders ORDER BY n');
    expect(rows.map(({ n }) => n)).toEqual([1, 2]);
  });

  test('without the first segment of its WAL, a backup is refused and no search for records fails', async () => {
    const store = stage.cluster.repository.store;
    for await (const { key } of store.list('shop/')) if (key.includes('/wal/00000001/')) await store.remove(key);
    await expect(stage.plan('latest')).rejects.toMatchObject({ code: 'target-unreachable' });
  });

  const ship = async () => {
    const pass = await shipOnce(stage.cluster, { signal: new AbortController().signal });
    expect(pass).toMatchObject({ refused: [], waiting: [], error: null });
  };

  /** @returns a place between two transactions of its own. */
  const archiveAsOldPrimary = (folder: string) =>
    withServer(
      stage.server.bin,
      join(folder, 'data'),
      folder,
      async (client) => {
        await client.query('INSERT INTO orders VALUES (98)');
        const { rows } = await client.query(
          `SELECT ${now} AS time, pg_current_wal_insert_lsn()::text AS lsn,
                  pg_walfile_name(pg_current_wal_insert_lsn()) AS name`,
        );
        const [{ time, lsn, name }] = rows;
        await client.query('INSERT INTO orders VALUES (99)');
        await client.query('SELECT pg_switch_wal()');
        copyFileSync(join(folder, 'data/pg_wal', name), join(spoolAt(stage.cluster.paths.spool).incoming, name));
        return { time, lsn };
      },
      ['-c', 'archive_mode=off'],
    );
});
