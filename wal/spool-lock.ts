import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { abortReason } from '../core/abort.ts';
import { hasCode, PgproofError } from '../core/errors.ts';

/** What flock answers when another holds the lock; it uses 1, and 64 and above from sysexits, for itself. */
const busyCode = 50;

/**
 * Runs `use` as the only one that takes files out of this spool. The kernel holds the lock (flock) for as long as a child of
 * ours lives, and that child lives for as long as its standard input is open: it ends with us, however we end. The signal
 * handed to `use` aborts when the caller's does, or when that child is gone.
 * @throws {PgproofError} `spool-busy` when another process holds it; `tool-missing` without flock.
 */
export async function withSpoolLock<T>(
  root: string,
  use: (signal: AbortSignal) => Promise<T>,
  options: { signal?: AbortSignal } = {},
): Promise<T> {
  const holder = await takeLock(root, options.signal);
  const lost = new AbortController();
  const onEnd = () => lost.abort(new PgproofError('spool-busy', `the lock on the spool '${root}' was lost`));
  holder.once('exit', onEnd);
  if (hasEnded(holder)) onEnd();
  try {
    const result = await use(
      options.signal === undefined ? lost.signal : AbortSignal.any([options.signal, lost.signal]),
    );
    return result;
  } catch (error) {
    throw lost.signal.aborted ? abortReason(lost.signal) : error;
  } finally {
    holder.removeAllListeners('exit');
    if (!hasEnded(holder)) {
      const ended = once(holder, 'exit');
      holder.stdin?.end();
      await ended;
    }
  }
}

/**
 * The same for what else may be done by one process of a host at a time, with a folder of its own for the lock.
 * @param busy what whoever came second is told. @throws {PgproofError} what `busy` says; `tool-missing` without flock.
 */
export async function withFolderLock<T>(
  folder: string,
  busy: (cause: PgproofError) => PgproofError,
  signal: AbortSignal,
  use: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    return await withSpoolLock(folder, use, { signal });
  } catch (error) {
    throw hasCode(error, 'spool-busy') ? busy(error) : error;
  }
}

/** Whether a shipper works on this spool now. */
export async function isSpoolLocked(root: string): Promise<boolean> {
  const child = spawn(
    'flock',
    ['--shared', '--nonblock', '--conflict-exit-code', String(busyCode), lockFile(root), 'true'],
    {
      stdio: 'ignore',
    },
  );
  return (await exitCode(child)) === busyCode;
}

async function takeLock(root: string, signal: AbortSignal | undefined): Promise<ChildProcess> {
  // It waits a moment, because a look by isSpoolLocked is not a shipper. Detached: Ctrl-C in a terminal must not reach it.
  const args = ['--exclusive', '--wait', '1', '--conflict-exit-code', String(busyCode), lockFile(root), 'cat'];
  const child = spawn('flock', args, { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
  const failed = exitCode(child);
  child.stdin.on('error', () => {}); // it ended first, which its exit code tells
  child.stdin.write('held');
  const held = once(child.stdout, 'data').then(() => 'held' as const);
  held.catch(() => {});
  const letGo = () => {
    child.stdin.end(); // it may have got the lock in this very moment
    child.kill();
  };
  signal?.addEventListener('abort', letGo, { once: true });
  const outcome = await Promise.race([held, failed]).finally(() => signal?.removeEventListener('abort', letGo));
  if (signal?.aborted && outcome !== 'held') throw abortReason(signal);
  if (outcome === 'held') {
    failed.catch(() => {});
    return child;
  }
  if (outcome === busyCode) {
    throw new PgproofError('spool-busy', `another process ships from the spool '${root}'`, {
      facts: { spool: root },
      hint: 'One pgproof worker ships the WAL of a cluster; this one begins when the other has ended.',
    });
  }
  throw new PgproofError('spool-invalid', `the spool '${root}' cannot be locked: flock answered ${outcome}`, {
    facts: { spool: root },
  });
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;

const lockFile = (root: string): string => join(root, 'lock');

async function exitCode(child: ChildProcess): Promise<number | null> {
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    return code;
  } catch (cause) {
    throw new PgproofError('tool-missing', "there is no 'flock', which keeps two shippers apart", {
      facts: { tool: 'flock' },
      hint: 'Install the package util-linux.',
      cause,
    });
  }
}
