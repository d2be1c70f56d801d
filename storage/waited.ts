import { setTimeout as sleep } from 'node:timers/promises';

/** Waits, for loops that end when they are told to. @returns false when the signal aborted. */
export async function waited(ms: number, signal: AbortSignal): Promise<boolean> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
  return !signal.aborted;
}
