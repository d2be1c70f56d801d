import type { Worker } from '@temporalio/worker';

/**
 * Runs workers of one connection until `signal` aborts, then lets them finish. When one fails, the others are stopped
 * too, and its error is thrown.
 */
export async function serveWorkers(
  workers: readonly Worker[],
  options: { signal: AbortSignal; onServing?: () => void },
): Promise<void> {
  const { signal, onServing } = options;
  const stop = (): void => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const runs = workers.map((worker) => worker.run().finally(stop));
    if (signal.aborted) stop();
    else onServing?.();
    const results = await Promise.allSettled(runs);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
