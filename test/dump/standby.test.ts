import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { takeDump } from '../../dump/dump.ts';
import { openPair, type Pair } from '../hosts/support.ts';
import { alternate } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage, until } from '../support/stage.ts';
import { openValve } from '../support/valve.ts';
import { listed, targetOf } from './support.ts';

describe.each(alternate(1))('from a standby of PostgreSQL %s', (major) => {
  let stage: Stage;
  let pair: Pair;
  beforeAll(async () => {
    stage = await openStage({ major });
    await stage.server.sql('CREATE DATABASE shop');
    await onPrimary(
      `CREATE TABLE items AS SELECT n, repeat(md5(n::text), 4) AS text FROM generate_series(1, 300000) n`,
    );
    await onPrimary('CREATE UNLOGGED TABLE cache AS SELECT 1 AS one');
    pair = await openPair(stage);
    await replayed();
  });
  afterAll(async () => {
    await pair?.dispose();
    await stage?.dispose();
  });

  const onPrimary = (text: string) => stage.server.sql(text, [], 'shop');
  const replayed = () =>
    until(async () => {
      const [{ lsn }] = (await stage.server.sql('SELECT pg_current_wal_lsn()::text AS lsn')) as [{ lsn: string }];
      const [row] = await pair.standby.sql(`SELECT pg_last_wal_replay_lsn() >= '${lsn}' AS there`);
      return row?.there === true;
    });

  test.each([['directory']] as const)(
    'a dump in the format %s is whole, and says what a standby does not have',
    async (format) => {
      const { record } = await takeDump(pair.right.cluster, targetOf('shop', { format }), quietRun());
      expect(record).toMatchObject({
        server: { inRecovery: true },
        host: 'db-8',
        entries: { tables: 2 },
        notes: ['taken from the standby on db-8', expect.stringContaining('rows of 1 unlogged tables')],
      });
      expect(await listed(stage.cluster)).toContain(record.id);
    },
  );

  test('one that is cancelled because replay has to go on says so, with what helps', async () => {
    await pair.standby.sql("ALTER SYSTEM SET max_standby_streaming_delay = '0'");
    await pair.standby.sql('SELECT pg_reload_conf()');
    const network = await openValve({ socketDir: pair.standby.socketDir, port: stage.server.port });
    onTestFinished(() => network.close());
    const { cluster } = pair.right;
    const connection = { ...cluster.config.connection, socket: network.socketDir };
    const far = { ...cluster, config: { ...cluster.config, connection } };
    const halted = network.shut(5_000_000);
    const cancelled = expect(takeDump(far, targetOf('shop', { format: 'plain' }), quietRun())).rejects.toMatchObject({
      code: 'tool-failed',
      facts: { recoveryConflicts: expect.any(Number) },
      hint: expect.stringContaining('max_standby_streaming_delay'),
    });
    await Promise.race([halted, cancelled]);
    await onPrimary('TRUNCATE items, cache');
    // Replay waits for the dump's lock, or has ended it already: a backend that writes is only sometimes open to that.
    const conflict = `SELECT FROM pg_locks WHERE NOT granted UNION ALL SELECT FROM pg_stat_activity WHERE state ~ 'aborted'`;
    await until(async () => (await pair.standby.sql(conflict)).length > 0);
    network.open();
    await cancelled;
  });
});
