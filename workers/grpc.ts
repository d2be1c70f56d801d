import { Connection, type ConnectionOptions } from '@temporalio/client';
import type { NativeConnectionOptions } from '@temporalio/worker';

/**
 * A connection whose calls are tried once. The SDK's own retries cannot be called off: one that waits when the
 * connection is closed ends the process with an uncaught error (@temporalio/client 1.24, grpc-retry.js).
 */
export function openConnection(options: NativeConnectionOptions): Connection {
  return Connection.lazy({ ...(options as ConnectionOptions), interceptors: [] });
}
