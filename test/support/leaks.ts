import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll } from 'vitest';
import { startFile } from './places.ts';
import { processesOf } from './processes.ts';

/**
 * A setup file: it is loaded before each test file, and because hooks end in reverse order, its afterAll runs after
 * every one of the file's own. What the file started or made must be gone by then.
 */
const dir = startFile();

afterAll(async () => {
  const left = await settled(() => leftBehind(dir));
  if (left.length > 0) throw new Error(`this test file left behind:\n  ${left.join('\n  ')}`);
});

/** One line for each process, listening socket and temporary file that belongs to the marker folder. */
function leftBehind(marker: string): string[] {
  const listening = process.getActiveResourcesInfo().filter((kind) => kind === 'TCPServerWrap');
  return [
    ...processesOf(marker).map(({ pid, command }) => `process ${pid}: ${command}`),
    ...listening.map(() => 'a server of this process that still listens'),
    ...readdirSync(marker).map((name) => `temporary ${marker}/${name}`),
  ];
}

/** A process that was told to end needs a moment to go. */
async function settled(look: () => string[]): Promise<string[]> {
  for (let tries = 0; tries < 50 && look().length > 0; tries += 1) await sleep(100);
  return look();
}
