import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { majors, startCluster } from './postgres.ts';
import { processesOf } from './processes.ts';

test('PostgreSQL 15 and 18 are both there', () => {
  expect(majors).toEqual(['15', '18']);
});

test.each(majors)(
  'a cluster of PostgreSQL %s starts, answers, dies by SIGKILL, recovers and leaves nothing',
  async (major) => {
    const cluster = await startCluster({ major, tablespaces: ['side'] });
    try {
      expect(await cluster.sql('SELECT $1::int + 1 AS n', [1])).toEqual([{ n: 2 }]);
      await cluster.sql('CREATE TABLE kept (n int) TABLESPACE side');
      await cluster.kill9();
      expect(cluster.running()).toBe(false);
      await cluster.start();
      expect(await cluster.sql('SELECT count(*)::int AS n FROM kept')).toEqual([{ n: 0 }]);
    } finally {
      await cluster.dispose();
    }
    expect(existsSync(cluster.socketDir)).toBe(false);
    expect(processesOf(cluster.socketDir)).toEqual([]);
  },
);

test('two clusters share a system identifier unless one asks for its own', async () => {
  const [major] = majors as [string];
  const clusters = [
    await startCluster({ major }),
    await startCluster({ major }),
    await startCluster({ major, freshSystemId: true }),
  ];
  const ids = await Promise.all(
    clusters.map(async (c) => (await c.sql('SELECT system_identifier::text AS id FROM pg_control_system()'))[0]?.id),
  );
  for (const cluster of clusters) await cluster.dispose();
  expect(ids[0]).toBe(ids[1]);
  expect(ids[2]).not.toBe(ids[0]);
});
