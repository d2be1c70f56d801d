import { PgproofError } from '../../core/errors.ts';
import { untilAborted } from '../until-aborted.ts';
import { around, type Operation } from './around.ts';
import type { Bucket } from './bucket.ts';

/**
 * How long one request may take: `requestMs`, and as long as its bytes take at the slowest rate that is still work. A request
 * on which nothing moves at all ends earlier, by the driver's idle timeout.
 */
export type RequestTimeouts = { requestMs: number; slowestBytesPerSecond: number };

export const requestTimeouts: RequestTimeouts = { requestMs: 30_000, slowestBytesPerSecond: 16_384 };

/** These make the store work, or ask it several times. */
const longer: Partial<Record<Operation, number>> = { complete: 4, inspect: 4 };

/** Ends each request that takes too long with `store-unreachable`, also where the driver cannot end it itself. */
export function timed(bucket: Bucket, timeouts: RequestTimeouts = requestTimeouts): Bucket {
  return around(bucket, async ({ operation, key, bytes, call, send }) => {
    const ms =
      timeouts.requestMs * (longer[operation] ?? 1) + Math.ceil((bytes / timeouts.slowestBytesPerSecond) * 1000);
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(silent(operation, key, ms)), ms);
    const signal = AbortSignal.any([call.signal, over.signal]);
    try {
      return await untilAborted(signal, async () => {
        const answer = await send({ signal });
        if (signal.aborted) discard(answer);
        return answer;
      });
    } finally {
      clearTimeout(timer);
    }
  });
}

/** A body that comes when nobody waits for it any more would keep its connection. */
function discard(answer: unknown): void {
  (answer as { body?: { destroy(): void } } | undefined)?.body?.destroy();
}

function silent(operation: Operation, key: string, ms: number): PgproofError {
  return new PgproofError('store-unreachable', `the store did not answer within ${Math.ceil(ms / 1000)} s`, {
    facts: { operation, key, timeoutSeconds: ms / 1000 },
  });
}
