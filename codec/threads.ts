import { availableParallelism } from 'node:os';

/** How many frames are worked on at once. libuv has four threads, and files need one, too. */
export const threads = Math.min(3, Math.max(2, availableParallelism()));

let free = threads;
const waiting: (() => void)[] = [];

/**
 * Runs the work when a thread is free, first come, first served: whatever number of backups and clusters this process works
 * for, files are not starved, and no more than so many frames are in memory.
 */
export async function onThread<T>(work: () => Promise<T>): Promise<T> {
  if (free > 0) free -= 1;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  }
}
