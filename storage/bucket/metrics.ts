import { asPgproofError, type ErrorCode } from '../../core/errors.ts';
import { around, type Operation } from './around.ts';
import type { Bucket } from './bucket.ts';

export type OperationFigures = {
  /** Sent to the store, each attempt of its own. */
  requests: number;
  errors: number;
  /** Until the answer began, all requests together. */
  seconds: number;
  sentBytes: number;
  /** Of bodies that were read to their end. */
  receivedBytes: number;
};

export type StoreFigures = {
  retries: number;
  errorsByCode: Partial<Record<ErrorCode, number>>;
  operations: Partial<Record<Operation, OperationFigures>>;
};

/** What a process asked of one store, and what came back. */
export class StoreMetrics {
  #retries = 0;
  readonly #errorsByCode: Partial<Record<ErrorCode, number>> = {};
  readonly #operations: Partial<Record<Operation, OperationFigures>> = {};

  retried(): void {
    this.#retries += 1;
  }

  of(operation: Operation): OperationFigures {
    this.#operations[operation] ??= { requests: 0, errors: 0, seconds: 0, sentBytes: 0, receivedBytes: 0 };
    return this.#operations[operation];
  }

  failed(operation: Operation, error: unknown): void {
    const { code } = asPgproofError(error);
    this.of(operation).errors += 1;
    this.#errorsByCode[code] = (this.#errorsByCode[code] ?? 0) + 1;
  }

  /** A copy: it stays as it is. */
  snapshot(): StoreFigures {
    return structuredClone({
      retries: this.#retries,
      errorsByCode: this.#errorsByCode,
      operations: this.#operations,
    });
  }
}

/** Counts each request that reaches the bucket. */
export function metered(bucket: Bucket, metrics: StoreMetrics): Bucket {
  const meter = around(bucket, async ({ operation, bytes, call, send }) => {
    const figures = metrics.of(operation);
    const startedAt = performance.now();
    figures.requests += 1;
    try {
      const answer = await send(call);
      figures.sentBytes += bytes;
      return answer;
    } catch (error) {
      metrics.failed(operation, error);
      throw error;
    } finally {
      figures.seconds += (performance.now() - startedAt) / 1000;
    }
  });
  return {
    ...meter,
    get: async (key, range, call) => {
      const got = await meter.get(key, range, call);
      got.body.once('end', () => {
        metrics.of('get').receivedBytes += got.bytes;
      });
      return got;
    },
  };
}
