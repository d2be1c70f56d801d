import { spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { throwIfAborted } from '../../core/abort.ts';
import { PgproofError } from '../../core/errors.ts';
import { dyingWithUs } from '../../postgres/guard.ts';
import { readyWords } from '../up.ts';
import { environment, type Stage } from './stage.ts';

const main = new URL('../main.ts', import.meta.url).pathname;

export type Up = { pid: number; stop(): Promise<void> };

/**
 * Starts `pgproof up` as a process of its own and waits until it says that workflows can be started. It dies with this
 * process, unless it is to be kept.
 * @throws {PgproofError} `timeout` after two minutes, `internal` when it ends before; both with the end of its log.
 */
export async function startUp(stage: Stage, host: string, keep: boolean, signal: AbortSignal): Promise<Up> {
  const args = [main, 'up', '--config', stage.configFile, '--host', host];
  const [file, argv] = keep ? [process.execPath, args] : dyingWithUs('TERM', process.execPath, args);
  const log = await open(stage.logs.up, 'a', 0o600);
  const child = spawn(file, argv, {
    env: { ...process.env, ...environment(stage) },
    stdio: ['ignore', log.fd, log.fd],
    detached: true,
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
  await log.close();
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  try {
    await untilReady(stage, ended, signal);
  } catch (error) {
    await stop();
    throw error;
  }
  if (keep) child.unref();
  return { pid: child.pid as number, stop };
}

async function untilReady(stage: Stage, ended: Promise<void>, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + 120_000;
  for (;;) {
    throwIfAborted(signal);
    const over = await Promise.race([ended.then(() => true), sleep(100, false)]);
    const log = await readFile(stage.logs.up, 'utf8');
    if (log.includes(readyWords)) return;
    if (over) throw new PgproofError('internal', `pgproof up ended before it was ready:\n${log.slice(-3000)}`);
    if (performance.now() > deadline)
      throw new PgproofError('timeout', `pgproof up was not ready within 120 s:\n${log.slice(-3000)}`);
  }
}
