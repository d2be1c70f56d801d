import { Worker, type WorkerOptions } from '@temporalio/worker';
import type { HostQueues } from '../core/queues.ts';

/**
 * The workers of a host's three queues.
 * @param slots bulk steps at the same time.
 */
export function createHostWorkers(
  shared: Omit<WorkerOptions, 'taskQueue'>,
  queues: HostQueues,
  slots: number,
): Promise<Worker[]> {
  const at = (taskQueue: string, steps: number): Promise<Worker> =>
    Worker.create({
      ...shared,
      taskQueue,
      maxConcurrentActivityTaskExecutions: steps,
      // Each is a call that is always open, and servers bound how many a namespace may have: 1,000 hosts have 3,000.
      maxConcurrentActivityTaskPolls: 1,
      maxHeartbeatThrottleInterval: '20 seconds', // a cancellation is heard with a heartbeat's answer
    });
  return Promise.all([at(queues.quick, 20), at(queues.bulk, slots), at(queues.restore, 1)]);
}
