import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { timeouts } from '../core/timeouts.ts';
import { type Fleet, openFleet } from '../test/support/fleet.ts';
import { endRun, startRun } from '../test/support/places.ts';
import { type Cluster, majors } from '../test/support/postgres.ts';
import { startWorker } from '../test/support/stage.ts';
import { archiveCommand } from '../wal/archive-command.ts';
import { archiveBy, makeTables } from './tables.ts';
import { type Timed, timed, timedVerb } from './timed.ts';

/*
 * Our backup and restore, asked for by the verb with a server and a worker up, beside `pg_basebackup -Z client-zstd` and
 * `zstd | tar` on the same data, taken in turns, as ratios of medians; and the memory that the worker and its children need, at
 * one size and at twice that.
 *   base.ts [RUNS] [GB]
 */

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
  const theirBackup = await timed(join(server.bin, 'pg_basebackup'), [
    ...['-h', server.socketDir, '-U', server.user, '-D', join(folder, 'theirs')],
    ...['--checkpoint=fast', '-X', 'none', '-Ft', '-Z', 'client-zstd:level=3,workers=2'],
  ]);
  const backup = await ourBackup();
  mkdirSync(join(folder, 'theirs/data'));
  const theirRestore = await timed('sh', [
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

function ourBackup(): Promise<Timed> {
  return pgproof('backup', 'shop');
}

function pgproof(...args: string[]): Promise<Timed> {
  return timedVerb(fleet.stage.configFile, worker.pid, args);
}

async function load(server: Cluster, paths: Parameters<typeof archiveCommand>[0], part: number): Promise<void> {
  await archiveBy(server, '/bin/true');
  await makeTables(server, `part${part}`, gigabytes);
  await server.sql('SELECT pg_switch_wal()');
  await archived(server);
  await archiveBy(server, archiveCommand(paths));
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
