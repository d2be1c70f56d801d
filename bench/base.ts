import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { timeouts } from '../core/timeouts.ts';
import { type Fleet, openFleet } from '../test/support/fleet.ts';
import { endRun, startRun } from '../test/support/places.ts';
import { type Cluster, majors } from '../test/support/postgres.ts';
import { startWorker } from '../test/support/stage.ts';
import { archiveCommand } from '../wal/archive-command.ts';
import { watchMemory } from './memory.ts';

/*
 * Our backup and restore, asked for by the verb with a server and a worker up, beside `pg_basebackup -Z client-zstd` and
 * `zstd | tar` on the same data, taken in turns, as ratios of medians; and the memory that the worker and its children need, at
 * one size and at twice that.
 *   base.ts [RUNS] [GB]
 */

const run = promisify(execFile);
const [runs = 3, gigabytes = 2] = process.argv.slice(2).map(Number);
const marked = startRun();
Object.assign(process.env, marked.env);
const folder = join(marked.dir, 'bench');
mkdirSync(folder);

const fleet = await openFleet({ major: majors.at(-1) as string, timeouts });
const worker = await startWorker(fleet.stage);
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void close().then(() => process.exit(130)));
try {
  await measure(fleet);
} finally {
  await close();
}

async function measure({ stage: { server, cluster } }: Fleet): Promise<void> {
  await load(server, cluster.paths, 1);
  const turns: Turn[] = [];
  for (let count = 0; count < runs; count += 1) {
    turns.push(await takeTurn(server));
    console.log(JSON.stringify(turns.at(-1)));
  }
  await load(server, cluster.paths, 2);
  const twice = await ourBackup();
  report(turns, twice.peakBytes);
}

type Turn = Record<
  'theirBackup' | 'ourBackup' | 'theirRestore' | 'ourRestore' | 'ourFetch' | 'backupPeak' | 'restorePeak',
  number
>;

async function takeTurn(server: Cluster): Promise<Turn> {
  const theirBackup = await theirs(join(server.bin, 'pg_basebackup'), [
    ...['-h', server.socketDir, '-U', server.user, '-D', join(folder, 'theirs')],
    ...['--checkpoint=fast', '-X', 'none', '-Ft', '-Z', 'client-zstd:level=3,workers=2'],
  ]);
  const backup = await ourBackup();
  mkdirSync(join(folder, 'theirs/data'));
  const theirRestore = await theirs('sh', [
    '-c',
    'zstd -dc "$0/base.tar.zst" | tar -x -b 2048 -C "$0/data"',
    join(folder, 'theirs'),
  ]);
  const plan = await pgproof('restore', 'plan', 'shop', '--to', 'immediate', '--into', join(folder, 'ours'));
  const restore = await pgproof('restore', 'start', 'shop', (plan.document as { id: string }).id);
  const { phases } = (restore.document as { result: { phases: { name: string; seconds: number }[] } }).result;
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  return {
    theirBackup,
    ourBackup: backup.seconds,
    theirRestore,
    ourRestore: restore.seconds,
    ourFetch: phases.find(({ name }) => name === 'fetch')?.seconds ?? Number.NaN,
    backupPeak: backup.peakBytes,
    restorePeak: restore.peakBytes,
  };
}

function ourBackup(): ReturnType<typeof pgproof> {
  return pgproof('backup', 'shop');
}

/** One verb, from its start to its answer; and the most memory that the worker and its children had meanwhile. */
async function pgproof(...args: string[]): Promise<{ seconds: number; peakBytes: number; document: unknown }> {
  await run('sync');
  const memory = watchMemory(worker.pid);
  const began = performance.now();
  const program = join(import.meta.dirname, '../client/main.ts');
  const { configFile } = fleet.stage;
  const child = spawn(process.execPath, [program, '--config', configFile, '--host', 'db-7', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number | null]>]);
  const seconds = (performance.now() - began) / 1000;
  const peakBytes = memory.stop();
  if (code !== 0) throw new Error(`pgproof ${args.join(' ')} ended with ${code}: ${output}`);
  return { seconds, peakBytes, document: JSON.parse(output) };
}

async function theirs(file: string, args: string[]): Promise<number> {
  await run('sync');
  const began = performance.now();
  await run(file, args);
  return (performance.now() - began) / 1000;
}

/** Half pgbench's tables, which compress well; half rows of digests, numbers and words with an index, which do not. */
async function load(server: Cluster, paths: Parameters<typeof archiveCommand>[0], part: number): Promise<void> {
  // The WAL of loading is not what is measured: it would keep the shipper busy through the first turns.
  await archiveBy(server, '/bin/true');
  const database = `part${part}`;
  await server.sql(`CREATE DATABASE ${database}`);
  const scale = String(Math.ceil(gigabytes * 34));
  await run(join(server.bin, 'pgbench'), ['-h', server.socketDir, '-U', server.user, '-iqs', scale, database]);
  await server.sql(
    `CREATE TABLE orders AS
     SELECT n, md5(n::text) || md5((n * 7)::text) AS digest, random() AS amount, now() + n * interval '1 second' AS at,
            'order ' || n || ' of customer ' || n % 9973 AS note
       FROM generate_series(1, ${Math.ceil(gigabytes * 1_700_000)}) n`,
    [],
    database,
  );
  await server.sql('CREATE INDEX ON orders (digest)', [], database);
  await server.sql('CHECKPOINT');
  await server.sql('SELECT pg_switch_wal()');
  await archived(server);
  await archiveBy(server, archiveCommand(paths));
}

async function archiveBy(server: Cluster, command: string): Promise<void> {
  await server.sql(`ALTER SYSTEM SET archive_command = '${command.replaceAll("'", "''")}'`);
  await server.sql('SELECT pg_reload_conf()');
}

/** Until nothing finished waits for the archiver. */
async function archived({ dataDir }: Cluster): Promise<void> {
  const ready = () => readdirSync(join(dataDir, 'pg_wal/archive_status')).some((name) => name.endsWith('.ready'));
  while (ready()) await sleep(100);
}

function report(turns: Turn[], twicePeak: number): void {
  const median = (of: keyof Turn): number =>
    turns.map((turn) => turn[of]).toSorted((a, b) => a - b)[Math.floor(runs / 2)] as number;
  const ratio = (a: keyof Turn, b: keyof Turn) =>
    `${(median(a) / median(b)).toFixed(2)}  (${median(a).toFixed(1)} s, ${median(b).toFixed(1)} s)`;
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  const peak = (of: 'backupPeak' | 'restorePeak') => mb(Math.max(...turns.map((turn) => turn[of])));
  console.log(`backup ÷ pg_basebackup -Z client-zstd: ${ratio('ourBackup', 'theirBackup')}, at most 1.35`);
  console.log(`fetch ÷ zstd -dc | tar -x:             ${ratio('ourFetch', 'theirRestore')}`);
  console.log(`whole restore ÷ zstd -dc | tar -x:     ${ratio('ourRestore', 'theirRestore')}, at most 1.3`);
  console.log(
    `peak memory: backup ${peak('backupPeak')}, of twice the size ${mb(twicePeak)}, restore ${peak('restorePeak')}; at most 400 MB`,
  );
}

async function close(): Promise<void> {
  await worker.stop();
  await fleet.dispose();
  endRun(marked);
}
