import { DefaultLogger, type LogEntry, Runtime } from '@temporalio/worker';
import type { Logger } from 'pino';

const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

let installed = false;

/**
 * Makes the SDK log through ours and leave the process's signals to us. Once in a process, before the first connection:
 * the SDK's runtime is global.
 */
export function installRuntime(log: Logger): void {
  if (installed) return;
  installed = true;
  Runtime.install({
    logger: new DefaultLogger('WARN', (entry) => forward(log, entry)),
    shutdownSignals: [],
    telemetryOptions: { logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } } },
  });
}

/** The SDK warns of each queue without workflows; those of a host take steps only, as they are meant to. */
const expected = 'No workflows registered, not polling for workflow tasks';

function forward(log: Logger, { level, message, meta, timestampNanos: _ }: LogEntry): void {
  if (message === expected) return;
  const { error, taskToken: _token, sdkComponent: _component, ...rest } = (meta ?? {}) as Record<string, unknown>;
  log[levels[level]]({ ...rest, ...(error instanceof Error ? { err: error } : {}) }, message);
}
