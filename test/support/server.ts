import { execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { childrenOf } from './processes.ts';

const run = promisify(execFile);

/**
 * Starts a server as our own child and waits until it answers. Not by pg_ctl: its servers become children of PID 1,
 * and where that reaps late (containers), a killed postmaster stays a zombie that PostgreSQL takes for a live one.
 */
export async function startServer(postgres: string, dataDir: string, logFile: string): Promise<void> {
  const log = openSync(logFile, 'a');
  const server = spawn(postgres, ['-D', dataDir], { stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  server.unref();
  let ended: string | undefined;
  server.once('error', (error) => {
    ended = error.message;
  });
  server.once('exit', (code, signal) => {
    ended = `it ended with ${signal ?? code}`;
  });
  for (let waited = 0; !answers(dataDir, server.pid); waited += 20) {
    if (ended !== undefined) throw new Error(`PostgreSQL did not start: ${ended}\n${tail(logFile)}`);
    if (waited > 60_000) throw new Error(`PostgreSQL did not start within 60 s\n${tail(logFile)}`);
    await sleep(20);
  }
}

/** The postmaster's process id, while it lives. */
export function postmasterOf(dataDir: string): number | undefined {
  const pid = Number(pidFile(dataDir)[0]);
  return pid > 0 && alive(pid) ? pid : undefined;
}

/** The machine dies, as far as PostgreSQL can tell. */
export async function killServer(dataDir: string): Promise<void> {
  const postmaster = postmasterOf(dataDir);
  if (postmaster === undefined) return;
  const pids = [postmaster, ...childrenOf(postmaster)];
  pids.forEach(kill);
  while (pids.some(alive)) await sleep(20);
  await releaseSharedMemory(dataDir);
}

/** The last line of postmaster.pid tells (PostgreSQL src/include/utils/pidfile.h). */
function answers(dataDir: string, pid: number | undefined): boolean {
  const lines = pidFile(dataDir);
  return Number(lines[0]) === pid && ['ready', 'standby'].includes(lines[7]?.trim() ?? '');
}

function pidFile(dataDir: string): string[] {
  const path = join(dataDir, 'postmaster.pid');
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
}

/** A killed postmaster leaves its small System V segment, named in line 7 of postmaster.pid, to the next start. */
async function releaseSharedMemory(dataDir: string): Promise<void> {
  const id = pidFile(dataDir)[6]?.trim().split(/\s+/)[1];
  if (id) await run('ipcrm', ['-m', id]).catch(() => {}); // the next start may have taken it already
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ended by itself meanwhile
  }
}

/** Neither gone nor a zombie. */
function alive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function tail(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(-20).join('\n') : '(no log)';
}
