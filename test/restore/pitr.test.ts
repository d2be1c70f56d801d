import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alternate, majors } from '../support/postgres.ts';
import { ask, openRestoreStage, type RestoreStage } from './support.ts';

describe.each(majors)('a restore of PostgreSQL %s', (major) => {
  let stage: RestoreStage;
  const at: Record<string, string> = {};

  beforeAll(async () => {
    stage = await openRestoreStage({ major });
    const { server } = stage;
    await server.sql('CREATE TABLE orders (n int)');
    await server.sql('INSERT INTO orders VALUES (1)');
    await stage.backup();
    await server.sql('INSERT INTO orders VALUES (2)');
    at.afterTwo = await stage.now();
    const [row] = await server.sql<{ xid: string }>(
      'INSERT INTO orders VALUES (3) RETURNING pg_current_xact_id()::text AS xid',
    );
    at.xidOfThree = row?.xid as string;
    at.lsnAfterThree = await stage.lsn();
    await server.sql('INSERT INTO orders VALUES (4)');
    await server.sql("SELECT pg_create_restore_point('before five')");
    await server.sql('INSERT INTO orders VALUES (5)');
    await stage.archive();
  });
  afterAll(() => stage?.dispose());

  const targets: [string, () => string, number[]][] = [
    ['a time', () => at.afterTwo as string, [1, 2]],
    ['a transaction', () => `xid:${at.xidOfThree}`, [1, 2, 3]],
    ['an LSN', () => `lsn:${at.lsnAfterThree}`, [1, 2, 3]],
    ['a restore point', () => 'name:before five', [1, 2, 3, 4]],
    ['the latest record', () => 'latest', [1, 2, 3, 4, 5]],
    ['the end of the backup', () => 'immediate', [1]],
  ];
  // Half of them with each major; all with both in the full run.
  const mine = targets.filter((_, index) => alternate(index).includes(major));

  test.each(mine)('to %s holds the rows that were committed by then, and no other', async (_, to, rows) => {
    const { plan } = await stage.restore(to());
    const found = await ask<{ n: number }>(stage.server.bin, plan.into, 'SELECT n FROM orders ORDER BY n');
    expect(found.map(({ n }) => n)).toEqual(rows);
  });
});
