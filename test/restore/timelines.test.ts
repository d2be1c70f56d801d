import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alternate } from '../support/postgres.ts';
import { ask, openRestoreStage, type RestoreStage } from './support.ts';

describe.each(alternate(1))(
  'scenario 19: across a timeline switch in the middle of a segment, PostgreSQL %s',
  (major) => {
    let stage: RestoreStage;
    let beforeSwitch: string;

    beforeAll(async () => {
      stage = await openRestoreStage({ major, server: { initdbArgs: ['--wal-segsize=1'] } });
      const { server } = stage;
      await server.sql('CREATE TABLE orders (n int)');
      await stage.backup();
      await server.sql('INSERT INTO orders VALUES (1)');
      await stage.archive();
      await server.sql('INSERT INTO orders VALUES (2)');
      beforeSwitch = await stage.now();
      await server.sql('INSERT INTO orders VALUES (3)');
      await server.stop('immediate');
      // Promoted where it stands: the leader goes on, on a timeline that begins inside of a segment.
      writeFileSync(join(server.dataDir, 'standby.signal'), '');
      await server.start();
      await server.sql('SELECT pg_promote()');
      await server.sql('INSERT INTO orders VALUES (4)');
      await stage.archive();
      await server.sql('INSERT INTO orders VALUES (5)');
      await stage.archive();
    });
    afterAll(() => stage?.dispose());

    const rows = async (dataDir: string) =>
      (await ask<{ n: number }>(stage.server.bin, dataDir, 'SELECT n FROM orders ORDER BY n')).map(({ n }) => n);

    test('the latest record is that of the new timeline, and the restored server takes a number that nobody has', async () => {
      const { plan } = await stage.restore('latest');
      expect(plan.recovery.timeline).toBe(2);
      expect(await rows(plan.into)).toEqual([1, 2, 3, 4, 5]);
      const sql = 'SELECT timeline_id FROM pg_control_checkpoint()';
      expect(await ask(stage.server.bin, plan.into, sql)).toEqual([{ timeline_id: 3 }]);
    });

    test('a time before the switch is reached on the old timeline', async () => {
      const { plan } = await stage.restore(beforeSwitch);
      expect(await rows(plan.into)).toEqual([1, 2]);
    });

    test('the old timeline alone ends where its archived WAL ends', async () => {
      const plan = await stage.plan('latest', { timeline: 1 });
      expect(plan.recovery.timeline).toBe(1);
      expect(plan.inventory.segments.every(({ name }) => name.startsWith('00000001'))).toBe(true);
      expect(plan.inventory.histories).toMatchObject([{ timeline: 2 }]);
    });
  },
);
