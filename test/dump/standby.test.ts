import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { takeDump } from '../../dump/dump.ts';
import { openPair, type Pair } from '../hosts/support.ts';
import { alternate } from '../support/postgres.ts';
import { openStage, type Stage, until } from '../support/stage.ts';
import { listed, quietRun, targetOf } from './support.ts';

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
    const psql = ['-h', stage.server.socketDir, '-U', 'postgres', '-qAtc', 'TRUNCATE items, cache', 'shop'];
    let acted = false;
    const progress = ({ phase, doneBytes = 0 }: { phase: string; doneBytes?: number }): void => {
      if (acted || phase !== 'dump' || doneBytes === 0) return;
      acted = true;
      execFileSync(join(stage.server.bin, 'psql'), psql);
    };
    const dump = takeDump(pair.right.cluster, targetOf('shop', { format: 'plain' }), { ...quietRun(), progress });
    await expect(dump).rejects.toMatchObject({
      code: 'tool-failed',
      facts: { recoveryConflicts: expect.any(Number) },
      hint: expect.stringContaining('max_standby_streaming_delay'),
    });
  });
});
