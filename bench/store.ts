import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { locateProgram } from '../setup/locate.ts';
import { endRun, startRun } from '../test/support/places.ts';
import { startS3Server } from '../test/support/s3-server.ts';
import { watchMemory } from './memory.ts';

/*
 * One object of 2 GB from a file into a local S3 server and from there into a file, by our store and by rclone, taken in turns,
 * as ratios of medians. rclone's time is its process's; ours is that of the transfer, because the worker that does it runs
 * anyway; that of our whole process stands beside it. And the most memory that ours had.
 *   store.ts [RUNS] [GB]
 */

const run = promisify(execFile);
const [runs = 3, gigabytes = 2] = process.argv.slice(2).map(Number);
const rclone = locateProgram('rclone');
if (rclone === undefined) throw new Error('rclone is not here: apt-get install rclone');
const marked = startRun();
Object.assign(process.env, marked.env);
/** Without what may be set for Amazon's own tools: rclone does not start with AWS_CA_BUNDLE. */
const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_')));

const folder = join(marked.dir, 'bench');
mkdirSync(folder);
const source = join(folder, 'source');
const target = join(folder, 'target');

const server = await startS3Server();
const admin = server.client();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void close().then(() => process.exit(130)));
try {
  const bytes = writeSource();
  const bucket = await server.bucket();
  const turns: Turn[] = [];
  for (let count = 0; count < runs; count += 1) {
    turns.push(await takeTurn(bucket));
    console.log(JSON.stringify(turns.at(-1)));
  }
  report(turns, bytes);
} finally {
  await close();
}

type Timed = { seconds: number; peakBytes: number; said: string };
type Turn = Record<
  'theirUp' | 'ourUp' | 'wholeUp' | 'theirDown' | 'ourDown' | 'wholeDown' | 'upPeak' | 'downPeak' | 'theirPeak',
  number
>;

async function takeTurn(bucket: string): Promise<Turn> {
  const theirUp = await theirs('copyto', source, `s3:${bucket}/object`);
  const theirDown = await theirs('copyto', `s3:${bucket}/object`, target);
  await clear(bucket);
  const ourUp = await ours(bucket, 'create', source);
  const ourDown = await ours(bucket, 'read', target);
  await run('cmp', [source, target]);
  await clear(bucket);
  return {
    theirUp: theirUp.seconds,
    ourUp: Number(ourUp.said),
    wholeUp: ourUp.seconds,
    theirDown: theirDown.seconds,
    ourDown: Number(ourDown.said),
    wholeDown: ourDown.seconds,
    upPeak: ourUp.peakBytes,
    downPeak: ourDown.peakBytes,
    theirPeak: Math.max(theirUp.peakBytes, theirDown.peakBytes),
  };
}

async function clear(bucket: string): Promise<void> {
  await admin.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'object' }));
  rmSync(target, { force: true });
}

/** Four parts at once, as is its default, of as many bytes as ours; and not waiting a second before each body, which it otherwise does here. */
async function theirs(...args: string[]): Promise<Timed> {
  const remote = {
    RCLONE_CONFIG: '/dev/null',
    RCLONE_CONFIG_S3_TYPE: 's3',
    RCLONE_CONFIG_S3_PROVIDER: 'Other',
    RCLONE_CONFIG_S3_ENDPOINT: server.endpoint,
    RCLONE_CONFIG_S3_REGION: server.region,
    RCLONE_CONFIG_S3_ACCESS_KEY_ID: server.root.accessKeyId,
    RCLONE_CONFIG_S3_SECRET_ACCESS_KEY: server.root.secretAccessKey,
  };
  return timed(rclone as string, ['--expect-continue-timeout', '0', '--s3-chunk-size', '16M', ...args], remote);
}

async function ours(bucket: string, verb: string, file: string): Promise<Timed> {
  const script = join(import.meta.dirname, 'store-transfer.ts');
  return timed(process.execPath, [script, verb, file, JSON.stringify(server.config(bucket))], server.env());
}

async function timed(program: string, args: string[], env: NodeJS.ProcessEnv): Promise<Timed> {
  await run('sync');
  const began = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...own, ...env } });
  const memory = watchMemory(child.pid as number);
  const [said, failed, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  const seconds = (performance.now() - began) / 1000;
  const peakBytes = memory.stop();
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${failed}`);
  return { seconds, peakBytes, said };
}

/** What compressed and encrypted backups look like. */
function writeSource(): number {
  writeFileSync(source, '');
  const block = randomBytes(64 << 20);
  let bytes = 0;
  for (; bytes < gigabytes * 1e9; bytes += block.length) appendFileSync(source, block);
  return bytes;
}

function report(turns: Turn[], bytes: number): void {
  const median = (of: keyof Turn): number =>
    turns.map((turn) => turn[of]).toSorted((a, b) => a - b)[Math.floor(turns.length / 2)] as number;
  const rate = (of: keyof Turn) => `${median(of).toFixed(1)} s, ${(bytes / median(of) / 1e6).toFixed(0)} MB/s`;
  const line = (what: string, ours: keyof Turn, whole: keyof Turn, theirs: keyof Turn) => {
    const ratio = (of: keyof Turn) => (median(of) / median(theirs)).toFixed(2);
    console.log(
      `${what} ÷ rclone: ${ratio(ours)}  (${rate(ours)}; rclone ${rate(theirs)}), at most 1.2; whole process ${ratio(whole)}`,
    );
  };
  line('upload  ', 'ourUp', 'wholeUp', 'theirUp');
  line('download', 'ourDown', 'wholeDown', 'theirDown');
  const mb = (of: keyof Turn) => `${(Math.max(...turns.map((turn) => turn[of])) / 1e6).toFixed(0)} MB`;
  console.log(
    `peak memory: upload ${mb('upPeak')}, download ${mb('downPeak')}; at most 268 MB (rclone ${mb('theirPeak')})`,
  );
}

async function close(): Promise<void> {
  await server.close();
  endRun(marked);
}
