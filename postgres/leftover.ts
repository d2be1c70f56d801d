import { readFile, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PgproofError } from '../core/errors.ts';

/** What postmaster.pid says: line 1 the process, line 8 its state. Source: PostgreSQL src/include/utils/pidfile.h. */
export type PostmasterFile = { pid: number; status: string };

export async function readPostmasterFile(dataDir: string): Promise<PostmasterFile | null> {
  try {
    const lines = (await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n');
    const pid = Number(lines[0]);
    // Negative: a single-user server.
    return Number.isInteger(pid) && pid !== 0 ? { pid, status: lines[7]?.trim() ?? '' } : null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * The process id of a server that runs in this data directory, or null. A postmaster.pid alone proves nothing: the machine may
 * have been restarted and the number be another's. A postmaster's working folder is its data directory.
 */
export async function runningServer(dataDir: string): Promise<number | null> {
  const file = await readPostmasterFile(dataDir);
  if (file === null) return null;
  const pid = Math.abs(file.pid);
  try {
    return (await readlink(`/proc/${pid}/cwd`)) === (await realpath(dataDir)) ? pid : null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    // It belongs to another user. Its name alone can be read; when that fits, it may well be the server of this folder.
    return (await isPostgres(pid)) ? pid : null;
  }
}

async function isPostgres(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return /^\d+ \((postgres|postmaster)\)/.test(stat);
}

/**
 * Ends at once the server that an earlier, killed process of ours left in this folder, and waits until it is gone.
 * @returns its process id, or null when there was none.
 * @throws {PgproofError} `cluster-running` when it does not end within 40 s or belongs to another user.
 */
export async function stopLeftoverServer(dataDir: string): Promise<number | null> {
  const pid = await runningServer(dataDir);
  if (pid === null) return null;
  const steps = [
    ['SIGQUIT', 300],
    ['SIGKILL', 100],
  ] as const;
  for (const [signal, tries] of steps) {
    sendSignal(pid, signal, dataDir);
    for (let tried = 0; tried < tries; tried += 1) {
      if ((await runningServer(dataDir)) !== pid) return pid;
      await sleep(100);
    }
  }
  throw stillRuns(pid, dataDir);
}

function sendSignal(pid: number, signal: NodeJS.Signals, dataDir: string): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // ESRCH: it has just ended by itself, which the next look finds.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw stillRuns(pid, dataDir, error);
  }
}

function stillRuns(pid: number, dataDir: string, cause?: unknown): PgproofError {
  return new PgproofError(
    'cluster-running',
    `a PostgreSQL server (process ${pid}) runs in '${dataDir}' and does not end`,
    {
      facts: { path: dataDir, pid },
      hint: `Stop it as the user that started it: pg_ctl stop -m immediate -D '${dataDir}'`,
      cause,
    },
  );
}
