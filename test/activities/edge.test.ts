import { once } from 'node:events';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { atEdge } from '../../activities/edge.ts';
import { PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import { activityEnvironment } from '../support/activity.ts';

const schema = z.object({ cluster: z.string() });
const input = { cluster: 'shop' };

function step<Result>(body: (run: Run) => Promise<Result>) {
  return atEdge(schema, (_, run) => body(run));
}

async function failureOf(thrown: () => unknown, environment = activityEnvironment()): Promise<unknown> {
  const failing = step(async () => {
    throw thrown();
  });
  return environment.run(failing, input).catch((error: unknown) => error);
}

describe('a step at the edge', () => {
  test('fails with its code as type, permanence, facts and hint', async () => {
    const facts = { segment: '000000010000000000000007' };
    const permanent = await failureOf(
      () => new PgproofError('wal-conflict', 'two tags', { facts, hint: 'Discard one.' }),
    );
    expect(permanent).toBeInstanceOf(ApplicationFailure);
    expect(permanent).toMatchObject({
      type: 'wal-conflict',
      message: 'two tags',
      nonRetryable: true,
      details: [facts, 'Discard one.'],
    });
    const passing = await failureOf(() => new PgproofError('store-unreachable', 'no answer'));
    expect(passing).toMatchObject({ type: 'store-unreachable', nonRetryable: false });
  });

  test('lets nothing of an unknown error out but its message, and no secret of that', async () => {
    const failure = await failureOf(() => new Error('no idea, password=hunter2', { cause: new Error('hunter2') }));
    expect(failure).toMatchObject({ type: 'internal', message: 'no idea, password=***', nonRetryable: true });
    expect((failure as Error).cause).toBeUndefined();
  });

  test('refuses input that is not what it expects', async () => {
    const run = activityEnvironment().run(step(async () => 1) as (value: unknown) => Promise<number>, {
      cluster: 7,
    });
    await expect(run).rejects.toMatchObject({ type: 'usage', nonRetryable: true });
  });

  test('ends as cancelled when it was cancelled, whatever it throws then', async () => {
    const environment = activityEnvironment();
    const running = environment.run(
      step(
        ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('killed')))),
      ),
      input,
    );
    environment.cancel('CANCELLED');
    await expect(running).rejects.toBeInstanceOf(CancelledFailure);
  });

  test('ends retryable when the worker was stopped: the work is wanted still', async () => {
    const environment = activityEnvironment();
    const running = environment.run(
      step(({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))),
      input,
    );
    environment.cancel('WORKER_SHUTDOWN');
    await expect(running).rejects.toMatchObject({ type: 'worker-stopped', nonRetryable: false });
  });

  test('sends no heartbeat of a step that ends at once, and of a longer one the last word', async () => {
    const environment = activityEnvironment();
    const beats: unknown[] = [];
    environment.on('heartbeat', (details: unknown) => beats.push(details));
    const work = async ({ progress }: Run): Promise<void> => {
      for (let doneBytes = 0; doneBytes < 1000; doneBytes += 1) progress({ phase: 'copy', doneBytes });
    };
    await environment.run(step(work), input);
    expect(beats).toEqual([]);
    await environment.run(
      step(async (run) => {
        await work(run);
        await once(environment, 'heartbeat');
      }),
      input,
    );
    expect(beats).toEqual([{ phase: 'copy', doneBytes: 999 }]);
  });
});
