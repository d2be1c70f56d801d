import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { watchMemory } from './memory.ts';

const run = promisify(execFile);
const program = join(import.meta.dirname, '../client/main.ts');

export type Timed = { seconds: number; peakBytes: number; document: unknown };

/** One verb, from its start to its answer; and the most memory that the worker and its children had meanwhile. */
export async function timedVerb(configFile: string, workerPid: number, args: readonly string[]): Promise<Timed> {
  await run('sync');
  const memory = watchMemory(workerPid);
  const began = performance.now();
  const child = spawn(process.execPath, [program, '--config', configFile, '--host', 'db-7', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number | null]>]);
  const seconds = (performance.now() - began) / 1000;
  const peakBytes = memory.stop();
  if (code !== 0) throw new Error(`pgproof ${args.join(' ')} ended with ${code}: ${output}`);
  return { seconds, peakBytes, document: JSON.parse(output) };
}

/** Somebody else's program, to its end. @returns seconds. */
export async function timed(file: string, args: readonly string[]): Promise<number> {
  await run('sync');
  const began = performance.now();
  await run(file, [...args]);
  return (performance.now() - began) / 1000;
}
