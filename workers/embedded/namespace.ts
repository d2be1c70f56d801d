import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import { openConnection } from '../grpc.ts';
import { embeddedNamespace } from '../temporal.ts';

const retentionSeconds = 90 * 86_400;

/** Waits until the server answers for our namespace, and sets its retention, which a new one has at a day. */
export async function prepareNamespace(address: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const connection = openConnection({ address });
    try {
      await connection.withDeadline(Date.now() + 2000, () => setRetention(connection));
      return;
    } catch {
      await sleep(100, undefined, { signal }); // not up yet; the caller's signal is the deadline
    } finally {
      await connection.close();
    }
  }
}

async function setRetention({ workflowService }: Connection): Promise<void> {
  await workflowService.updateNamespace({
    namespace: embeddedNamespace,
    config: { workflowExecutionRetentionTtl: { seconds: retentionSeconds as never } },
  });
}
