import { execFile } from 'node:child_process';
import { appendFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareLsn, type Lsn } from '../../core/lsn.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { currentEra } from '../../repository/eras.ts';
import { listHistories, listWal } from '../../repository/wal.ts';
import { readFrontier } from '../../wal/frontier.ts';
import { beat, newestArchivedHeartbeat, runHeartbeat } from '../../wal/heartbeat.ts';
import { listConflicts } from '../../wal/quarantine.ts';
import { reexamineForeign } from '../../wal/reexamine.ts';
import { runShipper, shipOnce } from '../../wal/shipper.ts';
import { spoolAt } from '../../wal/spool.ts';
import { walStatus } from '../../wal/status.ts';
import { createRestorePoint, switchWal } from '../../wal/switch.ts';
import { alternate, type Cluster } from '../support/postgres.ts';
import { postmasterOf, startServer } from '../support/server.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { keptTempDir } from '../support/temp.ts';

const run = promisify(execFile);
const signal = new AbortController().signal;

/** The story of one failover, in order: each test goes on where the one before it ended. */
describe.each(alternate(1))('scenario 22, PostgreSQL %s', (major) => {
  let stage: Stage;
  let copy: Copy;
  let config: ProtectedCluster;

  beforeAll(async () => {
    stage = await openStage({ major });
    config = stage.cluster;
    await stage.server.sql('CREATE TABLE work (n int)');
  });
  afterAll(async () => {
    await copy?.dispose();
    await stage.dispose();
  });

  const era = async () => (await currentEra(config.repository, 'shop'))?.era as string;
  const segments = async (timeline: number) =>
    [...(await listWal(config.repository, 'shop', await era(), { timeline })).keys()].sort();
  const foreign = async () => (await listConflicts(config)).foreign.map(({ file }) => file).sort();
  const beside = (folder: string) => readdirSync(join(config.paths.spool, folder));

  test('a restored copy that archives into our spool is refused, and our own WAL goes on', async () => {
    copy = await copyOf(stage);
    await copy.promote();
    await finish(copy.sql);
    await finish(stage.server.sql);
    const pass = await shipOnce(config, { signal });
    expect(pass).toMatchObject({ waiting: [], conflicts: [], error: null });
    expect(pass.refused.map(({ error }) => error.code)).toContain('timeline-not-adopted');
    expect(await foreign()).toContain('00000002.history');
    expect(await segments(2)).toEqual([]);
    expect((await segments(1)).length).toBeGreaterThan(0);
    const [lsn] = await stage.server.sql<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
    expect(await readFrontier(config)).toMatchObject({ timeline: 1, missing: [] });
    expect((await walStatus(config)).problems.map(({ code }) => code)).toContain('timeline-not-adopted');
    expect(lsn).toBeDefined();
  });

  test('looked at again, refused files stay refused as long as our server is on its timeline', async () => {
    const before = await foreign();
    expect(await reexamineForeign([config], spoolAt(config.paths.spool), { signal })).toEqual([]);
    expect(await foreign()).toEqual(before);
  });

  test('while the server is down, new WAL of the copy waits: nobody can tell', async () => {
    await stage.server.stop();
    await finish(copy.sql);
    const pass = await shipOnce(config, { signal });
    expect(pass.waiting.map(({ error }) => error.code)).toContain('timeline-not-adopted');
    expect(await segments(2)).toEqual([]);
  });

  test('once the config names the copy as the server, its timeline is adopted, and what was refused comes back', async () => {
    config = { ...config, config: { ...config.config, connection: copy.connection } };
    await finish(copy.sql);
    const pass = await shipOnce(config, { signal });
    expect(pass).toMatchObject({ refused: [], waiting: [], conflicts: [], error: null });
    const histories = await listHistories(config.repository, config.keys, 'shop', await era());
    expect([...histories.keys()]).toEqual([2]);
    expect(await reexamineForeign([config], spoolAt(config.paths.spool), { signal })).toContain('00000002.history');
    expect(await foreign()).toEqual([]);
    const frontier = await readFrontier(config);
    expect(frontier).toMatchObject({ timeline: 2, missing: [] });
    expect(await segments(2)).toEqual(await copy.archivedNames());
  });

  test('the partial segment of the old timeline is kept aside and is no segment', async () => {
    expect(beside('partial').every((name) => name.includes('.partial-'))).toBe(true);
    for (const name of await segments(1)) expect(name).toHaveLength(24);
  });

  test('an old primary that comes back archives nothing behind the switch', async () => {
    const before = await segments(1);
    const frontier = await readFrontier(config);
    await stage.server.start();
    for (let round = 0; round < 3; round += 1) await finish(stage.server.sql);
    const pass = await shipOnce(config, { signal });
    expect(pass).toMatchObject({ waiting: [], conflicts: [], error: null });
    expect(pass.refused.length).toBeGreaterThan(0);
    expect(pass.refused.every(({ error }) => error.code === 'wal-foreign')).toBe(true);
    expect((await segments(1)).length - before.length).toBeLessThanOrEqual(1);
    expect((await readFrontier(config)).lsn).toBe(frontier.lsn);
  });

  test('a heartbeat that the old primary wrote behind the switch does not count as archived', async () => {
    const lost = await beat(stage.cluster);
    const kept = await beat(config);
    await finish(copy.sql);
    await shipOnce(config, { signal });
    const newest = await newestArchivedHeartbeat(config, await readFrontier(config));
    expect(newest).toEqual(kept);
    expect(lost.timeline).toBe(1);
  });

  test('while the old primary answers in place of the new one, the newer timeline goes on and the status says so', async () => {
    const split = { ...config, config: { ...config.config, connection: stage.cluster.config.connection } };
    await finish(copy.sql);
    const pass = await shipOnce(split, { signal });
    expect(pass.error).toBeNull();
    expect(pass.shipped.length).toBeGreaterThan(0);
    expect((await walStatus(split)).problems.map(({ message }) => message)).toContainEqual(
      expect.stringContaining('the configured server is on timeline 1, and timeline 2 was adopted already'),
    );
  });
});

describe.each(alternate(0))('one server, PostgreSQL %s', (major) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage({ major });
    await stage.server.sql('CREATE TABLE work (n int)');
  });
  afterAll(() => stage.dispose());

  test('scenario 20: a clone on the same timeline that runs ahead of our server is refused, and no conflict comes of it', async () => {
    const clone = await copyOf(stage, { cold: true });
    try {
      for (let round = 0; round < 3; round += 1) await finish(clone.sql);
      const pass = await shipOnce(stage.cluster, { signal });
      expect(pass.refused.length).toBeGreaterThan(0);
      expect(pass.refused.at(-1)?.error.message).toContain('the configured server has come only to');
    } finally {
      await clone.dispose();
    }
    for (let round = 0; round < 4; round += 1) await finish(stage.server.sql);
    const pass = await shipOnce(stage.cluster, { signal });
    expect(pass).toMatchObject({ refused: [], error: null });
    // Ours are all there now: what was refused under their names never comes in.
    await reexamineForeign([stage.cluster], spoolAt(stage.cluster.paths.spool), { signal });
    expect((await readFrontier(stage.cluster)).missing).toEqual([]);
  });

  test('a switch names the segment that ended, and it is the one that is archived', async () => {
    const point = await createRestorePoint(stage.cluster, 'before the switch');
    const { segment, lsn } = await switchWal(stage.cluster);
    expect(lsn > point.lsn).toBe(true);
    await until(async () => (await lastArchived(stage.server.sql)) === segment);
    await expect(createRestorePoint(stage.cluster, 'x'.repeat(64))).rejects.toMatchObject({ code: 'usage' });
  });

  test('scenario 24: a heartbeat counts as archived once its commit lies behind the frontier, and not before', async () => {
    const { cluster, server } = stage;
    const first = await beat(cluster);
    await finish(server.sql);
    const second = await beat(cluster);
    expect(second.sequence).toBe(first.sequence + 1);
    await shipOnce(cluster, { signal });
    expect(await newestArchivedHeartbeat(cluster, await readFrontier(cluster))).toEqual(first);
    await finish(server.sql);
    await shipOnce(cluster, { signal });
    expect(await newestArchivedHeartbeat(cluster, await readFrontier(cluster))).toEqual(second);
    const status = await walStatus(cluster);
    expect(status).toMatchObject({ timeline: 1, missing: [], conflicts: [], spool: { files: 0 } });
    expect(status.lagSeconds).toBeGreaterThanOrEqual(0);
  });

  test('scenario 24: on an idle server the newest commit is archived without anybody’s doing, by archive_timeout', async () => {
    const { cluster, server } = stage;
    await server.sql('ALTER SYSTEM SET archive_timeout = 1');
    await server.sql('SELECT pg_reload_conf()');
    await server.sql('INSERT INTO work VALUES (1)');
    const [row] = await server.sql<{ lsn: Lsn }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
    const stopped = new AbortController();
    const loops = [
      runShipper(cluster, { signal: stopped.signal, intervalMs: 50 }),
      runHeartbeat(cluster, { signal: stopped.signal }),
    ];
    await until(async () => compareLsn((await readFrontier(cluster)).lsn, row?.lsn as Lsn) >= 0);
    stopped.abort();
    await Promise.all(loops);
  });

  test('a heartbeat without its table says how to make it', async () => {
    await stage.server.sql('DROP TABLE pgproof.heartbeat');
    await expect(beat(stage.cluster)).rejects.toMatchObject({ code: 'heartbeat-missing' });
  });
});

type Sql = Cluster['sql'];

type Copy = {
  sql: Sql;
  connection: ProtectedCluster['config']['connection'];
  promote(): Promise<void>;
  /** Segments of its newest timeline that it has handed over. */
  archivedNames(): Promise<string[]>;
  dispose(): Promise<void>;
};

/** A copy of the stage's server beside it, archiving to the same spool; cold: of the stopped server, so on the same timeline. */
async function copyOf(stage: Stage, options: { cold?: boolean } = {}): Promise<Copy> {
  const home = keptTempDir('copy');
  const dataDir = join(home, 'data');
  const { server } = stage;
  if (options.cold) {
    await server.stop();
    await run('cp', ['-a', server.dataDir, dataDir]);
    await server.start();
  } else {
    const from = ['-h', server.socketDir, '-p', String(server.port), '-U', 'postgres'];
    await run(join(server.bin, 'pg_basebackup'), [...from, '-D', dataDir, '-X', 'stream', '-c', 'fast']);
    writeFileSync(join(dataDir, 'standby.signal'), '');
  }
  appendFileSync(join(dataDir, 'postgresql.conf'), `\nunix_socket_directories = '${home}'\n`);
  await startServer(join(server.bin, 'postgres'), dataDir, join(home, 'log'));
  const pg = await import('pg');
  const sql: Sql = async (text, params) => {
    const client = new pg.default.Client({ host: home, port: server.port, user: 'postgres', database: 'postgres' });
    await client.connect();
    try {
      return (await client.query(text, params)).rows;
    } finally {
      await client.end();
    }
  };
  return {
    sql,
    connection: { socket: home, port: server.port, user: 'postgres', database: 'postgres' },
    promote: async () => {
      await sql('SELECT pg_promote()');
    },
    archivedNames: async () =>
      readdirSync(join(dataDir, 'pg_wal', 'archive_status'))
        .filter((name) => /^00000002[0-9A-F]{16}\.done$/.test(name))
        .map((name) => name.slice(0, 24))
        .sort(),
    dispose: async () => {
      if (postmasterOf(dataDir) !== undefined) {
        await run(join(server.bin, 'pg_ctl'), ['stop', '-D', dataDir, '-w', '-m', 'immediate']);
      }
      rmSync(home, { recursive: true, force: true });
    },
  };
}

const lastArchived = async (sql: Sql): Promise<string | undefined> =>
  (await sql<{ name: string }>('SELECT last_archived_wal AS name FROM pg_stat_archiver'))[0]?.name;

/** Writes something, ends the segment, and waits until the server has handed over all that is finished. */
async function finish(sql: Sql): Promise<void> {
  await sql('INSERT INTO work SELECT generate_series(1, 100)');
  await sql('SELECT pg_switch_wal()');
  await until(async () => {
    const [row] = await sql<{ done: boolean }>(
      `SELECT NOT EXISTS (SELECT FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready') AS done`,
    );
    return row?.done === true;
  });
}

async function until(fact: () => Promise<boolean>): Promise<void> {
  while (!(await fact())) await sleep(20);
}
