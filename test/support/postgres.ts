import { execFile } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { locatePostgres } from '../../setup/locate.ts';
import { runDir } from './places.ts';
import { killServer, postmasterOf, startServer } from './server.ts';

const run = promisify(execFile);

/** The majors that scenarios are tested with; a missing one is reported by `npm test` (and fails in CI). */
export const majors: string[] = ['15', '18'].filter((major) => locatePostgres(major) !== undefined);

/** Scenarios alternate between the majors: give each its own index. `npm run test:full` runs both everywhere. */
export function alternate(index: number): string[] {
  const one = majors[index % majors.length];
  return process.env.PGPROOF_TEST_FULL ? majors : one === undefined ? [] : [one];
}

/** The folder of a major's programs. */
export function bin(major: string): string {
  const found = locatePostgres(major);
  if (found === undefined) throw new Error(`PostgreSQL ${major} is not installed; run: npm test`);
  return found;
}

export type ClusterOptions = {
  major: string;
  /** Lines of postgresql.conf; they win over the helper's own. */
  settings?: Record<string, string | number | boolean>;
  /** Given, initdb runs for this cluster alone, with these arguments added. */
  initdbArgs?: string[];
  /** Clusters are copies of one initdb and share a system identifier, unless this asks for another one. */
  freshSystemId?: boolean;
  /** Names of tablespaces to create, each in its own folder. */
  tablespaces?: string[];
  /** The port, which names the socket; TCP stays closed unless `settings.listen_addresses` opens it. */
  port?: number;
  /** false: initialised but not started. */
  start?: boolean;
};

export type Cluster = {
  major: string;
  bin: string;
  dataDir: string;
  socketDir: string;
  port: number;
  user: string;
  /** The server's log file, for a test that fails. */
  logFile: string;
  /** Folder of each tablespace by its name. */
  tablespaces: Record<string, string>;
  /** Runs one statement in a connection of its own and answers the rows. */
  sql<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    text: string,
    params?: unknown[],
    database?: string,
  ): Promise<Row[]>;
  start(): Promise<void>;
  stop(mode?: 'smart' | 'fast' | 'immediate'): Promise<void>;
  /** The machine dies, as far as PostgreSQL can tell: every process of the server gets SIGKILL. */
  kill9(): Promise<void>;
  running(): boolean;
  /** Stops the server and removes all its folders. Safe to call twice. */
  dispose(): Promise<void>;
};

/** A real cluster below the test's temporary folder: private socket, trust, fsync off. Dispose it. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const home = mkdtempSync(join(tmpdir(), 'c-'));
  const cluster = openCluster(home, options);
  try {
    await initialise(cluster.dataDir, options);
    configure(cluster, options);
    if (options.start === false) return cluster;
    await cluster.start();
    for (const [name, folder] of Object.entries(cluster.tablespaces)) {
      mkdirSync(folder, { mode: 0o700 });
      await cluster.sql(`CREATE TABLESPACE "${name}" LOCATION '${folder}'`);
    }
    return cluster;
  } catch (error) {
    await cluster.dispose();
    throw error;
  }
}

function openCluster(home: string, options: ClusterOptions): Cluster {
  const programs = bin(options.major);
  const dataDir = join(home, 'data');
  const port = options.port ?? 5432;
  const logFile = join(home, 'log');
  const cluster: Cluster = {
    major: options.major,
    bin: programs,
    dataDir,
    socketDir: home,
    port,
    user: 'postgres',
    logFile,
    tablespaces: Object.fromEntries((options.tablespaces ?? []).map((name) => [name, join(home, `ts-${name}`)])),
    sql: (text, params, database = 'postgres') => query({ host: home, port, user: 'postgres', database }, text, params),
    start: () => startServer(join(programs, 'postgres'), dataDir, logFile),
    stop: async (mode = 'fast') => {
      if (cluster.running()) await run(join(programs, 'pg_ctl'), ['stop', '-D', dataDir, '-w', '-t', '60', '-m', mode]);
    },
    kill9: () => killServer(dataDir),
    running: () => postmasterOf(dataDir) !== undefined,
    dispose: async () => {
      if (cluster.running()) await cluster.stop('immediate').catch(() => killServer(dataDir));
      rmSync(home, { recursive: true, force: true });
    },
  };
  return cluster;
}

async function initialise(dataDir: string, options: ClusterOptions): Promise<void> {
  if (options.initdbArgs !== undefined || options.freshSystemId) {
    await initdb(options.major, dataDir, options.initdbArgs);
    return;
  }
  await run('cp', ['-a', '--reflink=auto', await template(options.major), dataDir]);
}

/** One initdb a run and major. Two files at once may both make it; the first to rename wins, and both are whole. */
async function template(major: string): Promise<string> {
  const dir = join(runDir(), 'run', `template-${major}`);
  if (existsSync(dir)) return dir;
  const mine = mkdtempSync(`${dir}.`);
  await initdb(major, mine);
  try {
    renameSync(mine, dir);
  } catch {
    rmSync(mine, { recursive: true, force: true }); // somebody else's is there
  }
  return dir;
}

async function initdb(major: string, dataDir: string, args: string[] = []): Promise<void> {
  const common = ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
  await run(join(bin(major), 'initdb'), [...common, ...args]);
}

function configure(cluster: Cluster, options: ClusterOptions): void {
  const settings = {
    listen_addresses: '',
    unix_socket_directories: cluster.socketDir,
    port: cluster.port,
    fsync: false,
    shared_buffers: '16MB',
    max_wal_size: '256MB',
    // Nothing may stay in /dev/shm after kill9.
    dynamic_shared_memory_type: 'mmap',
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'`);
  appendFileSync(join(cluster.dataDir, 'postgresql.conf'), `\n${lines.join('\n')}\n`);
}

async function query<Row extends pg.QueryResultRow>(
  to: pg.ClientConfig,
  text: string,
  params?: unknown[],
): Promise<Row[]> {
  const client = new pg.Client(to);
  client.on('error', () => {}); // the statement itself reports a connection that ended
  await client.connect();
  try {
    return (await client.query<Row>(text, params)).rows;
  } finally {
    await client.end().catch(() => {}); // already gone: nothing to end
  }
}
