import { join } from 'node:path';
import pg from 'pg';
import { takeBackup } from '../../backup/backup.ts';
import type { Lsn } from '../../core/lsn.ts';
import { parseTarget } from '../../core/target.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import type { BackupRecord } from '../../repository/record.ts';
import { planRestore } from '../../restore/plan.ts';
import type { RestorePlan, RestoreResult } from '../../restore/record.ts';
import { startRestore } from '../../restore/start.ts';
import { shipOnce } from '../../wal/shipper.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';

export type RestoreStage = Stage & {
  /** Base backup, with the WAL that belongs to it. */
  backup(): Promise<BackupRecord>;
  /** Switches WAL and ships what is finished. */
  archive(): Promise<void>;
  /** The server's clock, with microseconds. */
  now(): Promise<string>;
  lsn(): Promise<Lsn>;
  plan(
    to: string,
    options?: { into?: string; backup?: string; timeline?: number; inclusive?: boolean },
  ): Promise<RestorePlan>;
  restore(
    to: string,
    options?: { timeline?: number; inclusive?: boolean },
  ): Promise<{ plan: RestorePlan; result: RestoreResult }>;
};

export async function openRestoreStage(options: Parameters<typeof openStage>[0]): Promise<RestoreStage> {
  const stage = await openStage(options);
  const { server, cluster } = stage;
  const backup = async () => {
    const shipping = ship(cluster);
    try {
      return await takeBackup(cluster, quietRun());
    } finally {
      await shipping.stop();
    }
  };
  const archive = async () => {
    await server.sql('SELECT pg_switch_wal()');
    await archived(server);
    await shipOnce(cluster, { signal: new AbortController().signal });
  };
  const plan: RestoreStage['plan'] = (to, { into = join(tempDir(), 'data'), backup: id, ...more } = {}) =>
    planRestore(
      cluster,
      { target: parseTarget(to, more), into, ...(id === undefined ? {} : { backup: id }) },
      quietRun(),
    );
  const restore: RestoreStage['restore'] = async (to, more = {}) => {
    const planned = await plan(to, more);
    return { plan: planned, result: await startRestore(cluster, planned.id, quietRun()) };
  };
  return {
    ...stage,
    backup,
    archive,
    plan,
    restore,
    now: async () =>
      (
        await server.sql<{ now: string }>(
          `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`,
        )
      )[0]?.now as string,
    lsn: async () => (await server.sql<{ lsn: Lsn }>('SELECT pg_current_wal_insert_lsn()::text AS lsn'))[0]?.lsn as Lsn,
  };
}

/** Until PostgreSQL has handed over everything that is finished. */
export async function archived(server: Stage['server']): Promise<void> {
  for (;;) {
    const [row] = await server.sql<{ done: boolean }>(
      `SELECT NOT EXISTS (SELECT FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready') AS done`,
    );
    if (row?.done) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function ship(cluster: ProtectedCluster): { stop(): Promise<void> } {
  const ended = new AbortController();
  const loop = (async () => {
    while (!ended.signal.aborted) {
      await shipOnce(cluster, { signal: new AbortController().signal });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  return {
    stop: async () => {
      ended.abort();
      await loop;
    },
  };
}

/** So that the server's end does not wait for archive_command's retries. */
const quickStop = ['-c', 'archive_command=exit 255'];

/** Asks a restored data directory one question. */
export async function ask<Row extends pg.QueryResultRow>(bin: string, dataDir: string, sql: string): Promise<Row[]> {
  const socket = tempDir('s');
  return withServer(bin, dataDir, socket, async (client) => (await client.query<Row>(sql)).rows, quickStop);
}

export async function withServer<T>(
  bin: string,
  dataDir: string,
  socket: string,
  use: (client: pg.Client) => Promise<T>,
  args: string[] = [],
): Promise<T> {
  const { spawn } = await import('node:child_process');
  const child = spawn(
    join(bin, 'postgres'),
    ['-D', dataDir, '-c', `unix_socket_directories=${socket}`, '-c', 'listen_addresses=', ...args],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  try {
    const client = await connected({ host: socket, port: 5432, user: 'postgres', database: 'postgres' }, () => {
      if (child.exitCode !== null) throw new Error(said);
    });
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  } finally {
    child.kill('SIGINT');
    await ended;
  }
}

async function connected(config: pg.ClientConfig, check: () => void): Promise<pg.Client> {
  for (;;) {
    const client = new pg.Client(config);
    client.on('error', () => {});
    try {
      await client.connect();
      return client;
    } catch {
      check();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
