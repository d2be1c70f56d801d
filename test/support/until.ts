import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for a fact. @param everyMs short for facts that pass. */
export async function until(fact: () => boolean | Promise<boolean>, everyMs = 100): Promise<void> {
  while (!(await fact())) await sleep(everyMs);
}
