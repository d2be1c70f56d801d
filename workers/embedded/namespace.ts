import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import { openConnection } from '../grpc.ts';
import { embeddedNamespace } from '../temporal.ts';
import { ownerKey } from './owner.ts';

const retentionSeconds = 90 * 86_400;

/** Waits until the server answers for our namespace, says whose it is, and sets its retention, which a new one has at a day. */
export async function prepareNamespace(address: string, signal: AbortSignal, owner?: string): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const connection = openConnection({ address });
    try {
      await connection.withDeadline(Date.now() + 2000, () => describe(connection, owner));
      return;
    } catch {
      await sleep(100, undefined, { signal }); // not up yet; the caller's signal is the deadline
    } finally {
      await connection.close();
    }
  }
}

async function describe({ workflowService }: Connection, owner: string | undefined): Promise<void> {
  await workflowService.updateNamespace({
    namespace: embeddedNamespace,
    ...(owner !== undefined && { updateInfo: { data: { [ownerKey]: owner } } }),
    config: { workflowExecutionRetentionTtl: { seconds: retentionSeconds as never } },
  });
}
