import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { openCluster } from '../../host/cluster.ts';
import { type Host, openHost } from '../../host/host.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { inspectServer } from '../../postgres/server.ts';
import { currentEra, declareEra } from '../../repository/eras.ts';
import { generateKeyFile } from '../../repository/key-file.ts';
import type { KeyCipher } from '../../repository/keys.ts';
import { initRepository } from '../../repository/repository.ts';
import { archiveCommand } from '../../wal/archive-command.ts';
import { installHeartbeat } from '../../wal/heartbeat.ts';
import { type Cluster, type ClusterOptions, startCluster } from './postgres.ts';
import { keptTempDir } from './temp.ts';
import { silent } from './temporal.ts';
import { until } from './until.ts';

/** A real cluster that pgproof protects: configuration, key, repository, era, archive_command. No worker runs yet. */
export type Stage = {
  folder: string;
  configFile: string;
  host: Host;
  server: Cluster;
  cluster: ProtectedCluster;
  /** Whether the repository takes WAL. While it does not, a backup is copied but cannot be committed. */
  letShip(allowed: boolean): Promise<void>;
  dispose(): Promise<void>;
};

type StageOptions = {
  major: string;
  /** Of the Temporal server that workers shall use. @defaultValue the config's own; tests without Temporal need none */
  ports?: { port: number; uiPort: number };
  /** What the server shall be like beyond its major. */
  server?: Omit<ClusterOptions, 'major'>;
  /** Of the role pgproof connects as; without it, no password is needed. */
  password?: string;
  /** A second repository, `offsite`, for copies. @defaultValue false */
  offsite?: boolean;
  /** A key of its own for WAL. @defaultValue false */
  walKey?: boolean;
  /** Of the key. @defaultValue 'aes-256-gcm' */
  cipher?: KeyCipher;
};

export async function openStage({
  major,
  ports,
  password,
  offsite = false,
  walKey = false,
  cipher,
  server: like = {},
}: StageOptions): Promise<Stage> {
  const folder = keptTempDir('stage');
  const archiving = { archive_mode: 'on', archive_command: '/bin/false' };
  const server = await startCluster({ ...like, major, settings: { ...archiving, ...like.settings } });
  try {
    if (password !== undefined) await demandPassword(server, password);
    const configFile = join(folder, 'pgproof.yaml');
    writeFileSync(configFile, stringify(configOf(folder, server, { ports, password, offsite, walKey })));
    const host = await openHost({ configFile, host: 'db-7', log: silent });
    mkdirSync(join(folder, 'repository'), { mode: 0o700 });
    await initRepository('local', host.config.repositories.local!);
    if (offsite) await initRepository('offsite', host.config.repositories.offsite!);
    await generateKeyFile(join(folder, 'main.key'), cipher);
    if (walKey) await generateKeyFile(join(folder, 'wal.key'));
    if (password !== undefined) writeFileSync(join(folder, 'password'), `${password}\n`, { mode: 0o600 });
    const cluster = await openCluster(host, 'shop');
    await declare(cluster);
    await installHeartbeat(cluster);
    await server.sql(`ALTER SYSTEM SET archive_command = '${archiveCommand(cluster.paths).replaceAll("'", "''")}'`);
    await server.sql('SELECT pg_reload_conf()');
    const { era } = (await currentEra(cluster.repository, cluster.name)) as { era: string };
    const letShip = async (allowed: boolean): Promise<void> =>
      permit(join(folder, 'repository/shop', era, 'wal'), allowed);
    const dispose = async (): Promise<void> => {
      await server.dispose();
      rmSync(folder, { recursive: true, force: true });
    };
    return { folder, configFile, host, server, cluster, letShip, dispose };
  } catch (error) {
    await server.dispose();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** A folder of the repository, and all below it, that can or cannot be written to. */
function permit(folder: string, allowed: boolean): void {
  mkdirSync(folder, { recursive: true });
  const below = readdirSync(folder, { recursive: true, withFileTypes: true });
  const folders = below.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of [folder, ...folders]) chmodSync(path, allowed ? 0o700 : 0o500);
}

function configOf(
  folder: string,
  server: Cluster,
  { ports, password, offsite, walKey }: Pick<StageOptions, 'ports' | 'password' | 'offsite' | 'walKey'>,
) {
  const secret = password === undefined ? {} : { user: 'pgproof', password: { file: join(folder, 'password') } };
  return {
    hosts: { 'db-7': { state: join(folder, 'state') } },
    repositories: {
      local: { type: 'file', path: join(folder, 'repository') },
      ...(offsite ? { offsite: { type: 'file', path: join(folder, 'offsite') } } : {}),
    },
    keys: { main: { file: join(folder, 'main.key') }, ...(walKey ? { wal: { file: join(folder, 'wal.key') } } : {}) },
    clusters: {
      shop: {
        host: 'db-7',
        connection: { socket: server.socketDir, port: server.port, user: server.user, ...secret },
        tools: { bin: server.bin },
        wal: { heartbeat: '1s' },
        repositories: offsite ? ['local', 'offsite'] : ['local'],
        key: 'main',
        ...(walKey ? { walKey: 'wal' } : {}),
      },
    },
    ...(ports === undefined ? {} : { temporal: { embedded: ports } }),
  };
}

async function demandPassword(server: Cluster, password: string): Promise<void> {
  await server.sql(`CREATE ROLE pgproof SUPERUSER LOGIN REPLICATION PASSWORD '${password}'`);
  const hba = join(server.dataDir, 'pg_hba.conf');
  const demand = 'local all pgproof scram-sha-256\nlocal replication pgproof scram-sha-256\n';
  writeFileSync(hba, demand + readFileSync(hba, 'utf8'));
  await server.sql('SELECT pg_reload_conf()');
}

async function declare(cluster: ProtectedCluster): Promise<void> {
  await declareEra(cluster.repository, cluster, cluster.name, await inspectServer(cluster.config.connection));
}

export { until };

/** A worker of the stage's host, in a process of its own, to be killed. */
export type WorkerProcess = {
  pid: number;
  /** Of everything it said; JSON lines. */
  logFile: string;
  kill(signal: NodeJS.Signals): void;
  /** Asked to end, and ended. */
  stop(): Promise<void>;
  ended: Promise<unknown>;
};

const node = join(import.meta.dirname, '../../node_modules/.bin/node');
const program = join(import.meta.dirname, 'worker-process.ts');

/** @param serving whether to wait until it takes work from Temporal. */
export async function startWorker(
  stage: Pick<Stage, 'folder' | 'configFile'>,
  serving = true,
  host = 'db-7',
): Promise<WorkerProcess> {
  const logFile = join(stage.folder, `worker-${randomUUID().slice(0, 8)}.log`);
  const log = openSync(logFile, 'a');
  const child = spawn(node, [program, stage.configFile, host], { stdio: ['ignore', 'pipe', log] });
  const ended = once(child, 'exit');
  const said = await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), ended]);
  if (child.exitCode !== null) throw new Error(`the worker ended: ${readFileSync(logFile, 'utf8')}${said}`);
  if (serving) await untilServing(child, logFile);
  return {
    pid: child.pid as number,
    logFile,
    kill: (signal) => void child.kill(signal),
    stop: async () => {
      child.kill('SIGTERM');
      child.kill('SIGCONT');
      await ended;
    },
    ended,
  };
}

async function untilServing(child: ChildProcess, logFile: string): Promise<void> {
  await until(() => {
    if (child.exitCode !== null) throw new Error(`the worker ended: ${readFileSync(logFile, 'utf8')}`);
    return readFileSync(logFile, 'utf8').includes('takes work');
  });
}
