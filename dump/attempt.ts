import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import { isRunId } from '../core/ids.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';

/** One attempt at a dump, while it lives. */
export type Attempt = {
  id: string;
  /** Private; what the attempt needs on this host's disk lies in it. */
  folder: string;
  /** From now on this process group dies with us, however we end. Null: there is none any more. */
  guard(group: number | null): void;
  /** It leaves something that it could not clear away: the next attempt on this host shall. */
  leaveNote(): void;
};

const lockName = 'lock';
const newPrefix = '.new-';
/** What flock answers when another holds the lock. */
const busyCode = 50;

/**
 * Holds the lock, and says so. When its standard input ends, because we let go or because we are dead, it kills the process group that it
 * was told last. pg_dump's own workers are no children of ours: nothing else would end them.
 */
const keeper = `echo held
group=
while read -r line; do group=$line; done
[ -z "$group" ] || kill -s KILL -- "-$group"`;

/**
 * Runs `use` with a folder of its own, which is gone afterwards, unless it leaves a note. Whoever finds the folder can tell
 * whether the attempt still lives: the kernel holds a lock on it for as long as it does.
 * @throws {PgproofError} `tool-missing` without flock; what `use` throws.
 */
export async function withAttempt<Result>(
  { paths }: ProtectedCluster,
  id: string,
  use: (attempt: Attempt) => Promise<Result>,
): Promise<Result> {
  const folder = join(paths.dumps, id);
  const begun = join(paths.dumps, `${newPrefix}${id}`);
  await mkdir(begun, { mode: 0o700 });
  const holder = await holdLock(join(begun, lockName));
  let isNoted = false;
  try {
    await rename(begun, folder); // only now anybody looks at it
    const guard = (group: number | null): void => void holder.stdin?.write(`${group ?? ''}\n`);
    const leaveNote = (): void => {
      isNoted = true;
    };
    return await use({ id, folder, guard, leaveNote });
  } finally {
    for (const name of await readdir(folder).catch(() => []))
      if (name !== lockName) await rm(join(folder, name), { recursive: true, force: true });
    if (!isNoted) await rm(folder, { recursive: true, force: true });
    await letGo(holder);
  }
}

/** The attempts that were begun on this host: those that live, and those that died and may have left something. */
export async function knownAttempts({ paths }: ProtectedCluster): Promise<{ live: string[]; dead: string[] }> {
  const live: string[] = [];
  const dead: string[] = [];
  for (const name of await readdir(paths.dumps)) {
    if (isRunId(name)) ((await isHeld(join(paths.dumps, name, lockName))) ? live : dead).push(name);
    else if (name.startsWith(newPrefix)) await removeOld(join(paths.dumps, name));
  }
  return { live, dead };
}

/** What a dead attempt has left on this host. */
export async function forgetAttempt({ paths }: ProtectedCluster, id: string): Promise<void> {
  await rm(join(paths.dumps, id), { recursive: true, force: true });
}

async function holdLock(path: string): Promise<ChildProcess> {
  const args = ['--exclusive', '--nonblock', '--conflict-exit-code', String(busyCode), path, 'sh', '-c', keeper];
  // Detached: Ctrl-C in a terminal must not reach it.
  const holder = spawn('flock', args, { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
  holder.stdin.on('error', () => {}); // it ended first
  const held = once(holder.stdout, 'data').then(([said]) => String(said));
  const outcome = await Promise.race([held, exitCode(holder)]);
  if (outcome === 'held\n') return holder;
  throw unusable(`it ended with ${outcome}`);
}

const unusable = (why: string): PgproofError =>
  new PgproofError('tool-missing', `there is no usable 'flock', which tells what lives from what is dead: ${why}`, {
    facts: { tool: 'flock' },
    hint: 'Install the package util-linux.',
  });

function exitCode(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(code ?? String(signal)));
  });
}

async function isHeld(path: string): Promise<boolean> {
  const args = ['--shared', '--nonblock', '--conflict-exit-code', String(busyCode), path, 'true'];
  return (await exitCode(spawn('flock', args, { stdio: 'ignore' }))) === busyCode;
}

async function letGo(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return;
  const gone = once(holder, 'exit');
  holder.stdin?.end();
  await gone;
}

/** It was killed before it had begun. */
async function removeOld(path: string): Promise<void> {
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
  if (Date.now() - mtimeMs > 24 * 3_600_000) await rm(path, { recursive: true, force: true });
}
