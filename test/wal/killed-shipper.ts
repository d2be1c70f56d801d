import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

const program = join(import.meta.dirname, 'shipper-process.ts');

/** Where a shipper dies: it is storing WAL for the nth time. */
export type Moment = ['before' | 'after', number];

export const startShipper = (dir: string, repositories: 'one' | 'two' = 'one', moment?: Moment): ChildProcess =>
  spawn(process.execPath, [program, dir, repositories, ...(moment ?? []).map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });

export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) throw new Error(`the shipper ended by itself: ${child.exitCode}`);
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** A shipper that dies in the midst of its work. */
export async function dieShipping(dir: string, repositories: 'one' | 'two', moment: Moment): Promise<void> {
  const shipper = startShipper(dir, repositories, moment);
  onTestFinished(() => void shipper.kill('SIGKILL'));
  for await (const line of createInterface({ input: shipper.stdout as NodeJS.ReadableStream }))
    if (line === 'stands') break;
  await kill(shipper);
}
