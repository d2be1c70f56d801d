import { setTimeout as sleep } from 'node:timers/promises';
import { NativeConnection } from '@temporalio/worker';
import type { Logger } from 'pino';
import { PgproofError } from '../core/errors.ts';
import type { TemporalSettings } from './temporal.ts';

type Options = {
  what: string;
  log: Logger;
  signal: AbortSignal;
  after?: Promise<void>;
  firstWaitMs?: number;
  longestWaitMs?: number;
};

/**
 * Serves Temporal until `signal` aborts: connects, serves, and begins again whenever either fails, for ever. A host is
 * never without its WAL shipping because Temporal is away, and needs nobody when it comes back.
 * @param serve works on a connection until `signal` aborts; ending before that counts as a failure too.
 * @throws {PgproofError} only what waiting cannot mend, such as `search-attribute-missing`.
 */
export async function keepServing(
  temporal: TemporalSettings,
  serve: (connection: NativeConnection) => Promise<void>,
  { what, log, signal, after, firstWaitMs = 1000, longestWaitMs = 30_000 }: Options,
): Promise<void> {
  await Promise.race([after, aborted(signal)]);
  let waitMs = firstWaitMs;
  while (!signal.aborted) {
    const began = Date.now();
    try {
      await serveOnce(temporal, serve, signal);
      if (signal.aborted) return;
      log.error({ address: temporal.address }, `${what} ended by itself; beginning again`);
    } catch (error) {
      if (error instanceof PgproofError && error.permanent) throw error;
      if (signal.aborted) return void log.warn({ err: plain(error) }, `${what} did not stop in time`);
      log.error(
        { address: temporal.address, namespace: temporal.namespace, err: plain(error), retryInMs: waitMs },
        `${what} cannot serve Temporal; trying again`,
      );
    }
    if (Date.now() - began > longestWaitMs) waitMs = firstWaitMs;
    await sleep(waitMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined); // 500 hosts come back at different moments
    waitMs = Math.min(waitMs * 2, longestWaitMs);
  }
}

async function serveOnce(
  temporal: TemporalSettings,
  serve: (connection: NativeConnection) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const connecting = NativeConnection.connect(temporal.connection);
  // An address that swallows packets answers after minutes, and the SDK takes no signal here.
  const connection = await Promise.race([connecting, aborted(signal)]);
  if (connection === undefined) return void connecting.then((late) => late.close()).catch(() => undefined);
  try {
    await serve(connection);
  } finally {
    await connection.close();
  }
}

/** The message is what helps; the SDK's stacks are long and the same each time. */
function plain(error: unknown): { type: string; message: string } {
  return error instanceof Error
    ? { type: error.name, message: error.message }
    : { type: 'Error', message: String(error) };
}

function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }));
}
