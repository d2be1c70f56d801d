import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { DumpRow, DumpRun } from '../core/dump-run.ts';
import type { Report } from '../core/report.ts';
import { timeouts } from '../core/timeouts.ts';
import { openFleet } from '../test/support/fleet.ts';
import { endRun, startRun } from '../test/support/places.ts';
import { majors } from '../test/support/postgres.ts';
import { startWorker } from '../test/support/stage.ts';
import { archiveBy, makeTables } from './tables.ts';
import { type Timed, timed, timedVerb } from './timed.ts';

/*
 * Our parallel dump and its restore, asked for by the verb with a server and a worker up, encrypted and with check sums, beside
 * `pg_dump -Fd -j2` and `pg_restore -j2` of the same data with the same compression, taken in turns, as ratios of medians; and
 * the memory that the worker and its children need, at one size and at twice that.
 *   dump.ts [RUNS] [GB]
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
const { server } = fleet.stage;
const where = ['-h', server.socketDir, '-p', String(server.port), '-U', server.user];
try {
  await measure();
} finally {
  await close();
}

async function measure(): Promise<void> {
  await archiveBy(server, '/bin/true');
  await makeTables(server, 'one', gigabytes);
  const turns: Turn[] = [];
  for (let count = 0; count < runs; count += 1) {
    turns.push(await takeTurn());
    console.log(JSON.stringify(turns.at(-1)));
  }
  await makeTables(server, 'twice', 2 * gigabytes);
  const twice = await ourDump('twice');
  report(turns, twice.peakBytes);
}

type Turn = Record<
  | 'theirDump'
  | 'ourDump'
  | 'ourDumpStep'
  | 'theirRestore'
  | 'ourRestore'
  | 'ourRestoreStep'
  | 'dumpPeak'
  | 'restorePeak'
  | 'stored',
  number
>;

async function takeTurn(): Promise<Turn> {
  const theirs = join(folder, 'theirs');
  const theirDump = await timed(join(server.bin, 'pg_dump'), [
    ...where,
    ...['-Fd', '-j2', '--compress=zstd', '-f', theirs, 'one'],
  ]);
  const dump = await ourDump('one');
  await server.sql('CREATE DATABASE by_them');
  const theirRestore = await timed(join(server.bin, 'pg_restore'), [...where, '-j2', '-d', 'by_them', theirs]);
  await server.sql('DROP DATABASE by_them');
  const [row] = (dump.document as DumpRun).dumps as [DumpRow];
  const plan = await pgproof('restore', 'plan', 'shop', '--dump', row.id, '--database', 'by_us', '--jobs', '2');
  const restore = await pgproof('restore', 'start', 'shop', (plan.document as { id: string }).id);
  await server.sql('DROP DATABASE by_us');
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  return {
    theirDump,
    ourDump: dump.seconds,
    ourDumpStep: row.durationSeconds,
    theirRestore,
    ourRestore: restore.seconds,
    ourRestoreStep: stepSeconds(restore.document as Report),
    dumpPeak: dump.peakBytes,
    restorePeak: restore.peakBytes,
    stored: row.storedBytes,
  };
}

/** Of the phases, without starting a verb and a workflow. */
function stepSeconds({ result }: Report): number {
  return (result.phases as { seconds: number }[]).reduce((sum, { seconds }) => sum + seconds, 0);
}

function ourDump(database: string): Promise<Timed> {
  const form = ['--format', 'directory', '-j', '2', '--compression', 'zstd:3'];
  return pgproof('dump', 'shop', '--database', database, ...form);
}

function pgproof(...args: string[]): Promise<Timed> {
  return timedVerb(fleet.stage.configFile, worker.pid, args);
}

function report(turns: Turn[], twicePeak: number): void {
  const median = (of: keyof Turn): number =>
    turns.map((turn) => turn[of]).toSorted((a, b) => a - b)[Math.floor(runs / 2)] as number;
  const ratio = (a: keyof Turn, b: keyof Turn) =>
    `${(median(a) / median(b)).toFixed(2)}  (${median(a).toFixed(1)} s, ${median(b).toFixed(1)} s)`;
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  const peak = (of: 'dumpPeak' | 'restorePeak') => mb(Math.max(...turns.map((turn) => turn[of])));
  console.log(`dump ÷ pg_dump -Fd -j2 --compress=zstd: ${ratio('ourDump', 'theirDump')}, at most 1.15`);
  console.log(`  its step alone, without the verb:     ${ratio('ourDumpStep', 'theirDump')}`);
  console.log(`restore ÷ pg_restore -j2:               ${ratio('ourRestore', 'theirRestore')}, at most 1.15`);
  console.log(`  its step alone:                       ${ratio('ourRestoreStep', 'theirRestore')}`);
  console.log(
    `peak memory: dump ${peak('dumpPeak')}, of twice the size ${mb(twicePeak)}, restore ${peak('restorePeak')}; at most 300 MB`,
  );
}

async function close(): Promise<void> {
  await worker.stop();
  await fleet.dispose();
  endRun(marked);
}
