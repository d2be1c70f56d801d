import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, isGrpcServiceError, ServiceError } from '@temporalio/client';
import { PgproofError } from '../../core/errors.ts';

/** Calls about schedules that run side by side: a server keeps schedules as workflows, and each call is work for it. */
export const width = 16;

const tries = 5;
/** Doubled with each try: now and then a question to a schedule is stuck in the server for 5 s, and the next one is not. */
const firstDeadlineMs = 3000;

/**
 * One call, tried again while Temporal is away or asks for fewer calls; for two minutes at most.
 * @throws {PgproofError} `temporal-unreachable`; the signal's reason; what else the call says.
 */
export async function patiently<T>(client: Client, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      return await client.withDeadline(Date.now() + firstDeadlineMs * 2 ** (attempt - 1), call);
    } catch (error) {
      if (!mayPass(error)) throw error;
      if (attempt === tries) throw unreachable(error);
      await sleep(100 * 2 ** attempt, undefined, { signal });
    }
  }
}

/** gRPC's UNAVAILABLE, DEADLINE_EXCEEDED and RESOURCE_EXHAUSTED; the SDK's own retries say CANCELLED at a deadline. */
function mayPass(error: unknown): boolean {
  const cause = error instanceof ServiceError ? error.cause : error;
  return isGrpcServiceError(cause) && [14, 4, 8, 1].includes(cause.code);
}

function unreachable(cause: unknown): PgproofError {
  return new PgproofError('temporal-unreachable', 'Temporal stopped answering about schedules', {
    hint: 'Run it again when Temporal is back: what was done already is left as it is.',
    cause,
  });
}
