import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SegmentName } from '../../core/segment.ts';
import { currentEra } from '../../repository/eras.ts';
import { listWal, readSegment } from '../../repository/wal.ts';
import { shipOnce } from '../../wal/shipper.ts';
import { majors } from '../support/postgres.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';

/*
 * "The same name with another content is a conflict" rests on this: two ways to receive a segment receive the same bytes, also
 * of one that a switch ended early.
 */
describe.each(majors)('PostgreSQL %s', (major) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage({ major });
  });
  afterAll(() => stage.dispose());

  test('archived segments are, byte for byte, what pg_receivewal wrote, across switches and a full segment', async () => {
    const { server, cluster } = stage;
    const streamed = join(tempDir(), 'streamed');
    mkdirSync(streamed);
    const args = ['-D', streamed, '-h', server.socketDir, '-p', String(server.port), '-U', 'postgres', '--no-loop'];
    const receiver = spawn(join(server.bin, 'pg_receivewal'), args, { stdio: 'ignore' });
    try {
      await until(async () => readdirSync(streamed).length > 0);
      await server.sql('CREATE TABLE work (n int, filler text)');
      await server.sql('SELECT pg_switch_wal()');
      // More than one segment, so that some end full and one is ended early.
      await server.sql(`INSERT INTO work SELECT n, repeat('x', 200) FROM generate_series(1, 120000) n`);
      await server.sql('SELECT pg_switch_wal()');
      await server.sql('INSERT INTO work VALUES (0)');
      await server.sql('SELECT pg_switch_wal()');
      await until(async () => {
        const [row] = await server.sql<{ waiting: number }>(
          `SELECT count(*)::int AS waiting FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'`,
        );
        return row?.waiting === 0;
      });
      await shipOnce(cluster, { signal: new AbortController().signal });
      const era = (await currentEra(cluster.repository, 'shop'))?.era as string;
      const listing = await listWal(cluster.repository, 'shop', era);
      const whole = () => readdirSync(streamed).filter((name) => /^[0-9A-F]{24}$/.test(name));
      const last = [...listing.keys()].sort().at(-1) as string;
      await until(async () => whole().includes(last));
      const both = whole().filter((name) => listing.has(name as SegmentName));
      expect(both.length).toBeGreaterThanOrEqual(4);
      for (const name of both as SegmentName[]) {
        const [tag] = listing.get(name) as [string];
        const archived = await readSegment(cluster.repository, cluster.keys, 'shop', era, name, tag);
        expect(readFileSync(join(streamed, name)).equals(archived), name).toBe(true);
      }
    } finally {
      const ended = once(receiver, 'exit');
      receiver.kill('SIGTERM');
      await ended;
    }
  });
});

async function until(fact: () => Promise<boolean>): Promise<void> {
  while (!(await fact())) await sleep(20);
}
