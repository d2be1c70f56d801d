import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectedBytes } from '../../backup/expected.ts';
import { alternate } from '../support/postgres.ts';
import { openStage, type Stage } from '../support/stage.ts';

describe.each(alternate(0))('how much there is to copy, PostgreSQL %s', (major) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage({ major });
  });
  afterAll(() => stage?.dispose());

  const { signal } = new AbortController();

  test('is asked of the server', async () => {
    expect(await expectedBytes(stage.cluster, signal)).toBeGreaterThan(10_000_000);
  });

  test('is unknown when the server needs too long for it: no backup fails for that', async () => {
    const { socketDir: host, port, user } = stage.server;
    const session = new pg.Client({ host, port, user, database: 'postgres' });
    await session.connect();
    try {
      await session.query('BEGIN; LOCK TABLE pg_tablespace');
      expect(await expectedBytes(stage.cluster, signal, 0.2)).toBeNull();
    } finally {
      await session.end();
    }
  });
});
