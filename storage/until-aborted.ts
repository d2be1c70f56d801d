import { setTimeout as sleep } from 'node:timers/promises';
import { abortReason, throwIfAborted } from '../core/abort.ts';

/** How long work that was told to end may take to clean up before whoever waits for it is let go. */
const graceMs = 1000;

/**
 * The work's answer, or the signal's reason once that aborts: a call into a hanging file system cannot be interrupted, but
 * whoever waits for it can be let go. What still runs then goes on, and cleans up behind itself when it can.
 */
export async function untilAborted<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  throwIfAborted(signal);
  if (signal === undefined) return work();
  const aborted = Promise.withResolvers<'aborted'>();
  const onAbort = () => aborted.resolve('aborted');
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const working = work();
    const first = await Promise.race([working.then((answer) => ({ answer })), aborted.promise]);
    if (first !== 'aborted') return first.answer;
    await settled(working);
    throw abortReason(signal);
  } catch (error) {
    throw signal.aborted ? abortReason(signal) : error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function settled(working: Promise<unknown>): Promise<void> {
  const grace = new AbortController();
  const overdue = sleep(graceMs, undefined, { signal: grace.signal, ref: false }).catch(() => {});
  await Promise.race([working.catch(() => {}), overdue]);
  grace.abort();
}
