import { link, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { newestTools } from '../client/demo/server.ts';
import type { Lsn } from '../core/lsn.ts';
import { clusterPaths } from '../host/cluster.ts';
import { makePrivateFolder } from '../host/folders.ts';
import { installScripts } from '../host/scripts.ts';
import { execute, withClient } from '../postgres/client.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type RunningServer, startServer } from '../postgres/control.ts';
import { runTool } from '../postgres/run.ts';
import { inspectServer } from '../postgres/server.ts';
import type { Tools } from '../postgres/tools.ts';
import { declareEra, declareEraInAll, requireEra } from '../repository/eras.ts';
import { generateKeyFile, readKeyFile } from '../repository/key-file.ts';
import { initRepository } from '../repository/repository.ts';
import { withRepositories } from '../test/support/repositories.ts';
import { archiveCommand } from '../wal/archive-command.ts';
import { shipOnce } from '../wal/shipper.ts';
import { makeSpool } from '../wal/spool.ts';

/*
 * How fast a backlog drains: 64 full segments of real WAL (pgbench and inserts) from a spool on this machine into a repository on the same
 * disk, compressed, encrypted, each flushed before it leaves the spool; then the same into two repositories. Medians are of runs
 * in one go; use ratios elsewhere.
 */
const segments = 64;
const runs = Number(process.argv[2] ?? 3);
const { signal } = new AbortController();

const folder = await mkdtemp(join(tmpdir(), 'pgproof-bench-'));
try {
  const tools = await newestTools();
  const cluster = await open(tools);
  const kept = join(folder, 'kept');
  await makeWal(tools, cluster, kept);
  for (const into of [cluster, await withAnother(cluster)]) {
    const rates: number[] = [];
    for (let run = 0; run < runs; run += 1) rates.push(await drain(into, kept));
    const median = rates.sort((a, b) => a - b)[Math.floor(runs / 2)] as number;
    const where = into.written.length === 1 ? 'one repository' : 'two repositories';
    console.log(
      `WAL drain into ${where}: median ${median.toFixed(0)} MB/s of ${runs} runs, ${segments} segments of 16 MiB each`,
    );
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function open(tools: Tools): Promise<ProtectedCluster> {
  const repository = await initRepository('bench', { type: 'file', path: join(folder, 'repository') });
  const keyFile = join(folder, 'main.key');
  await generateKeyFile(keyFile);
  const keys = await readKeyFile(keyFile);
  const paths = clusterPaths(join(folder, 'state'), 'bench');
  for (const path of Object.values(paths)) await makePrivateFolder(path);
  await installScripts(paths.scripts);
  await makeSpool(paths.spool);
  return {
    name: 'bench',
    fleet: 'bench',
    host: 'bench',
    config: {
      host: ['bench'],
      prefer: 'primary',
      connection: { socket: folder, port: 5432, user: 'postgres', database: 'postgres' },
      tools: { bin: tools.bin },
      wal: { mode: 'archive', acknowledge: 'spool', heartbeat: 10 },
      repositories: ['bench'],
      write: 'first',
      retention: { minimum: 1, dumps: {}, repositories: {} },
      objectives: { rpo: 300 },
      schedules: {},
      dumps: { databases: 'all', perDatabase: {} },
      drills: { checks: [] },
    },
    ...withRepositories([repository]),
    keys,
    walKeys: keys,
    paths,
    sink: null,
  };
}

/** The same cluster with a second repository that WAL is written to. */
async function withAnother(cluster: ProtectedCluster): Promise<ProtectedCluster> {
  const far = await initRepository('far', { type: 'file', path: join(folder, 'far') });
  const { systemId, major, segmentBytes, timeline, startLsn } = await requireEra(cluster.repository, cluster.name);
  const facts = { systemId, major, segmentBytes, timeline, insertLsn: startLsn as Lsn, inRecovery: false };
  const config = { ...cluster.config, repositories: ['bench', 'far'], write: 'all' as const };
  await declareEraInAll([cluster.repository, far], cluster, facts);
  return { ...cluster, config, ...withRepositories([cluster.repository, far]) };
}

/** Lets a server under pgbench fill the spool, and keeps what it archived. */
async function makeWal(tools: Tools, cluster: ProtectedCluster, kept: string): Promise<void> {
  const server = await startCluster(tools, cluster);
  try {
    await declareEra(cluster.repository, cluster, cluster.name, await inspectServer(cluster.config.connection));
    const pgbench = (...args: string[]) =>
      runTool(tools, 'pgbench', ['-h', folder, '-U', 'postgres', ...args, 'postgres'], { signal, timeoutSeconds: 600 });
    const { incoming } = await makeSpool(cluster.paths.spool);
    const full = async () => (await readdir(incoming)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
    await pgbench('-i', '-q', '-s', '20');
    const waste = 'INSERT INTO waste SELECT n, md5(n::text), random(), now() FROM generate_series(1, 1000000) n';
    const sql = (text: string) =>
      withClient(cluster.config.connection, (client) => execute(client, text), { statementTimeoutSeconds: 0 });
    await sql('CREATE TABLE waste (n int, text text, x float8, at timestamptz)');
    while ((await full()).length < segments) {
      await pgbench('-n', '-c', '2', '-t', '1000');
      await sql(waste);
      await sleep(200);
    }
    await mkdir(kept);
    for (const name of (await full()).slice(0, segments)) await link(join(incoming, name), join(kept, name));
  } finally {
    await server.stop('immediate');
  }
}

async function startCluster(tools: Tools, cluster: ProtectedCluster): Promise<RunningServer> {
  const dataDir = join(folder, 'data');
  await runTool(tools, 'initdb', ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '--no-sync'], {
    signal,
    timeoutSeconds: 60,
  });
  const server = await startServer({
    tools,
    dataDir,
    socketDir: folder,
    settings: {
      listen_addresses: '',
      fsync: 'off',
      archive_mode: 'on',
      archive_command: archiveCommand(cluster.paths),
      max_wal_size: '1GB',
    },
    logFile: join(folder, 'log'),
    signal,
    wait: 'connect',
  });
  await withClient(cluster.config.connection, (client) => execute(client, 'CHECKPOINT'));
  return server;
}

/** @returns plain megabytes a second, from a full spool to an empty one. */
async function drain(cluster: ProtectedCluster, kept: string): Promise<number> {
  const { incoming } = await makeSpool(cluster.paths.spool);
  for (const name of await readdir(incoming)) await rm(join(incoming, name));
  const names = await readdir(kept);
  for (const name of names) await link(join(kept, name), join(incoming, name));
  await emptyArchive(cluster);
  const began = performance.now();
  const cpuBefore = process.cpuUsage();
  const pass = await shipOnce(cluster, { signal });
  const seconds = (performance.now() - began) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  if (pass.error !== null || pass.shipped.length !== names.length) throw pass.error ?? new Error('not all was shipped');
  const rate = (names.length * 16 * 1024 * 1024) / 1e6 / seconds;
  const cpuSeconds = ((cpu.user + cpu.system) / 1e6).toFixed(1);
  console.log(`${names.length} segments in ${seconds.toFixed(1)} s (${cpuSeconds} s of CPU): ${rate.toFixed(0)} MB/s`);
  return rate;
}

async function emptyArchive({ written, name }: ProtectedCluster): Promise<void> {
  for (const { store } of written) {
    const keys: string[] = [];
    for await (const { key } of store.list(`${name}/`)) if (key.includes('/wal/')) keys.push(key);
    for (const key of keys) await store.remove(key);
  }
}
