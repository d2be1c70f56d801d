import { setTimeout as sleep } from 'node:timers/promises';
import { throwIfAborted } from '../../core/abort.ts';
import { hasCode, PgproofError } from '../../core/errors.ts';
import { around } from './around.ts';
import type { Bucket } from './bucket.ts';

/** Milliseconds. */
export type RetryPolicy = {
  /** Wait after the first failure; doubled after each, with jitter, up to the longest. */
  firstMs: number;
  longestMs: number;
  /** The longest that a store's own Retry-After is obeyed. */
  longestAskedMs: number;
  /** How long attempts are begun for one request: of a store that answered before, and of one that did not. */
  patienceMs: number;
  shortPatienceMs: number;
};

export const retryPolicy: RetryPolicy = {
  firstMs: 250,
  longestMs: 20_000,
  longestAskedMs: 60_000,
  patienceMs: 600_000,
  shortPatienceMs: 15_000,
};

/**
 * How long a store is waited for. One that has answered is worth minutes: an outage must not cost a backup of ten hours. One
 * that never did, or was just waited for in vain, is not: whoever has another repository wants to turn to it.
 */
export class Patience {
  #answers = false;

  /** It answered, be it with a refusal. */
  answered(): void {
    this.#answers = true;
  }

  exhausted(): void {
    this.#answers = false;
  }

  ms(policy: RetryPolicy): number {
    return this.#answers ? policy.patienceMs : policy.shortPatienceMs;
  }
}

export type RetryOptions = { policy?: RetryPolicy; patience?: Patience; onRetry?: () => void };

/**
 * Sends a request again that failed in a way which waiting may mend, until it succeeds, the time for it is over, or the signal
 * aborts. The error of a request that was sent more than once has the fact `attempts`: the answer of an earlier attempt may
 * have been lost, so that `object-exists` may mean the caller's own object.
 */
export function retrying(
  bucket: Bucket,
  { policy = retryPolicy, patience = new Patience(), onRetry = () => {} }: RetryOptions = {},
): Bucket {
  return around(bucket, async ({ call, send }) => {
    const until = performance.now() + patience.ms(policy);
    for (let attempt = 1; ; attempt += 1) {
      throwIfAborted(call.signal);
      try {
        const answer = await send(call);
        patience.answered();
        return answer;
      } catch (error) {
        throwIfAborted(call.signal);
        if (!hasCode(error, 'store-unreachable')) patience.answered();
        const waitMs = mayPass(error) ? waitAfter(error, attempt, policy) : Number.POSITIVE_INFINITY;
        if (performance.now() + waitMs > until) {
          if (hasCode(error, 'store-unreachable')) patience.exhausted();
          throw counted(error, attempt);
        }
        onRetry();
        await sleep(waitMs, undefined, { signal: call.signal }).catch(() => {});
      }
    }
  });
}

/** Also rights that ran out and a clock that is off: rotation and time synchronisation are on their way, or they are not. */
function mayPass(error: unknown): error is PgproofError {
  return error instanceof PgproofError && !error.permanent;
}

function waitAfter({ facts }: PgproofError, attempt: number, policy: RetryPolicy): number {
  const backoff = Math.min(policy.longestMs, policy.firstMs * 2 ** Math.min(attempt - 1, 20));
  const asked = Math.min(Number(facts.retryAfterSeconds ?? 0) * 1000, policy.longestAskedMs);
  // Half of it is jitter: those whom one outage sent away must not come back at once.
  return Math.max(asked, backoff * (0.5 + Math.random() / 2));
}

function counted(error: unknown, attempts: number): unknown {
  if (attempts === 1 || !(error instanceof PgproofError)) return error;
  return error.retold({ facts: { attempts } });
}
