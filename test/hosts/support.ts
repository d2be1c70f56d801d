import { execFile } from 'node:child_process';
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { parse, stringify } from 'yaml';
import { openCluster } from '../../host/cluster.ts';
import { type Host, openHost } from '../../host/host.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { currentEra } from '../../repository/eras.ts';
import { listHistories } from '../../repository/wal.ts';
import { archiveCommand } from '../../wal/archive-command.ts';
import { postmasterOf, startServer } from '../support/server.ts';
import type { Stage } from '../support/stage.ts';
import { keptTempDir } from '../support/temp.ts';
import { silent } from '../support/temporal.ts';

const run = promisify(execFile);

/** One of the two hosts of the cluster, with its own configuration file: only the connection differs. */
export type Side = { name: string; folder: string; configFile: string; host: Host; cluster: ProtectedCluster };

export type Standby = {
  dataDir: string;
  socketDir: string;
  sql<Row extends pg.QueryResultRow = pg.QueryResultRow>(text: string): Promise<Row[]>;
  promote(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Restarts it with this archive_mode. */
  archiving(mode: 'on' | 'always'): Promise<void>;
  dispose(): Promise<void>;
};

/** The stage's server on db-7, and a streaming standby of it on db-8. */
export type Pair = {
  left: Side;
  right: Side;
  standby: Standby;
  /** Lets the config name another host first, as a person does after a failover. */
  handOver(order: string[]): Promise<void>;
  dispose(): Promise<void>;
};

export type PairOptions = {
  prefer?: 'primary' | 'standby';
  hosts?: Record<string, object>;
  /** The folder by which the hosts reach a server. @defaultValue the server's own */
  socketOf?: (server: { socketDir: string; port: number }) => Promise<string>;
};

export async function openPair(
  stage: Stage,
  { prefer = 'standby', hosts = {}, socketOf = async ({ socketDir }) => socketDir }: PairOptions = {},
): Promise<Pair> {
  // Without slots, so that a standby that is stopped finds the WAL again.
  await stage.server.sql("ALTER SYSTEM SET wal_keep_size = '1GB'");
  await stage.server.sql('SELECT pg_reload_conf()');
  const standby = await startStandby(stage);
  const { port } = stage.server;
  const sockets = {
    'db-7': await socketOf(stage.server),
    'db-8': await socketOf({ socketDir: standby.socketDir, port }),
  };
  const files = { 'db-7': join(stage.folder, 'db-7.yaml'), 'db-8': join(stage.folder, 'db-8.yaml') };
  const write = (order: string[]): void => {
    for (const name of ['db-7', 'db-8'] as const) {
      const config = parse(readFileSync(stage.configFile, 'utf8'));
      config.hosts = {
        'db-7': { ...config.hosts['db-7'], ...hosts['db-7'] },
        'db-8': { state: join(stage.folder, 'state-8'), ...hosts['db-8'] },
      };
      config.clusters.shop.host = order;
      config.clusters.shop.prefer = prefer;
      config.clusters.shop.connection.socket = sockets[name];
      writeFileSync(files[name], stringify(config));
    }
  };
  const open = async (name: 'db-7' | 'db-8'): Promise<Side> => {
    const configFile = files[name];
    const host = await openHost({ configFile, host: name, log: silent });
    return { name, folder: stage.folder, configFile, host, cluster: await openCluster(host, 'shop') };
  };
  try {
    write(['db-7', 'db-8']);
    const pair: Pair = {
      left: await open('db-7'),
      right: await open('db-8'),
      standby,
      handOver: async (order) => {
        write(order);
        Object.assign(pair.left, await open('db-7'));
        Object.assign(pair.right, await open('db-8'));
      },
      dispose: () => standby.dispose(),
    };
    const command = archiveCommand(pair.right.cluster.paths).replaceAll("'", "''");
    appendFileSync(join(standby.dataDir, 'postgresql.auto.conf'), `archive_command = '${command}'\n`);
    await standby.archiving('always');
    return pair;
  } catch (error) {
    await standby.dispose();
    throw error;
  }
}

/** The timelines that were adopted beyond the first. */
export async function adopted({ repository, keys, name }: ProtectedCluster): Promise<number[]> {
  const { era } = (await currentEra(repository, name)) as { era: string };
  return [...(await listHistories(repository, keys, name, era)).keys()];
}

/** `pg_basebackup -R`, and a server that streams from the stage's. */
async function startStandby({ server }: Stage): Promise<Standby> {
  const home = keptTempDir('sb');
  const dataDir = join(home, 'data');
  const from = ['-h', server.socketDir, '-p', String(server.port), '-U', 'postgres'];
  await run(join(server.bin, 'pg_basebackup'), [...from, '-D', dataDir, '-X', 'stream', '-c', 'fast', '-R']);
  appendFileSync(join(dataDir, 'postgresql.conf'), `\nunix_socket_directories = '${home}'\n`);
  const to = { host: home, port: server.port, user: 'postgres', database: 'postgres' };
  const standby: Standby = {
    dataDir,
    socketDir: home,
    sql: async <Row extends pg.QueryResultRow>(text: string) => {
      const client = new pg.Client(to);
      client.on('error', () => {});
      await client.connect();
      try {
        return (await client.query<Row>(text)).rows;
      } finally {
        await client.end().catch(() => {});
      }
    },
    promote: async () => void (await standby.sql('SELECT pg_promote()')),
    start: () => startServer(join(server.bin, 'postgres'), dataDir, join(home, 'log')),
    stop: async () => {
      if (postmasterOf(dataDir) === undefined) return;
      await run(join(server.bin, 'pg_ctl'), ['stop', '-D', dataDir, '-w', '-m', 'fast']);
    },
    archiving: async (mode) => {
      await standby.stop();
      appendFileSync(join(dataDir, 'postgresql.auto.conf'), `archive_mode = '${mode}'\n`);
      await standby.start();
    },
    dispose: async () => {
      if (postmasterOf(dataDir) !== undefined)
        await run(join(server.bin, 'pg_ctl'), ['stop', '-D', dataDir, '-w', '-m', 'immediate']);
      rmSync(home, { recursive: true, force: true });
    },
  };
  await standby.start();
  return standby;
}
