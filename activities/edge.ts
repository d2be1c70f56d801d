import { inspect } from 'node:util';
import { Context } from '@temporalio/activity';
import type { Logger } from '@temporalio/common';
import * as z from 'zod';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import type { Progress, Run } from '../core/run.ts';
import { scrubText } from '../report/scrub.ts';
import { toFailure, whyAborted } from './failure.ts';

/** A step's `Run`, and where in Temporal it stands: reports name it. */
export type EdgeRun = Run & { workflowId: string; runId: string; attempt: number };

/**
 * Often enough for a person who watches; the SDK sends fewer to the server. A step that ends before the first needs none: each
 * that reaches the server costs as much as a step.
 */
const beatMs = 2000;

/**
 * Makes a step of ours into an activity: checks its input, hands on cancellation and progress, keeps the heartbeat going
 * while the step runs, and turns what it throws into a typed failure. Nothing below knows of Temporal.
 */
export function atEdge<Schema extends z.ZodType, Result>(
  schema: Schema,
  step: (input: z.output<Schema>, run: EdgeRun) => Promise<Result>,
): (input: z.input<Schema>) => Promise<Result> {
  return async (input) => {
    const context = Context.current();
    const { workflowExecution, attempt } = context.info;
    const signal = typedSignal(context.cancellationSignal);
    const heartbeat = startHeartbeat(context);
    try {
      return await step(parseInput(schema, input), {
        signal,
        progress: heartbeat.say,
        workflowId: workflowExecution?.workflowId ?? '',
        runId: workflowExecution?.runId ?? '',
        attempt,
      });
    } catch (error) {
      throw failureOf(error, signal, context.log);
    } finally {
      heartbeat.stop();
    }
  };
}

/** The SDK's signal, whose reason engines and reports can name. */
function typedSignal(cancelled: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => controller.abort(whyAborted(cancelled));
  if (cancelled.aborted) abort();
  else cancelled.addEventListener('abort', abort, { once: true });
  return controller.signal;
}

/** An engine may say a thousand times a second how far it is: only the last word of every other second goes out. */
function startHeartbeat(context: Context): { say(progress: Progress): void; stop(): void } {
  let latest: Progress | undefined;
  const timer = setInterval(() => context.heartbeat(latest), beatMs);
  return {
    say: (progress) => {
      latest = progress;
    },
    stop: () => clearInterval(timer),
  };
}

function parseInput<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new PgproofError(
    'usage',
    `a step was given wrong input: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`,
    {
      hint: 'Worker and control worker may be of different versions; upgrade the older one.',
    },
  );
}

function failureOf(thrown: unknown, signal: AbortSignal, log: Logger): Error {
  const error = asPgproofError(thrown);
  if (signal.aborted) return toFailure(stopped(signal.reason as PgproofError, error));
  if (error.code !== 'internal') return toFailure(error);
  // Somebody else's words may quote anything. The failure leaves without its cause; this host's log keeps it.
  log.error('a step failed for a reason we do not know', { what: scrubText(inspect(thrown)) });
  return toFailure(new PgproofError('internal', scrubText(error.message), { facts: error.facts }));
}

/** What stopped the step decides, whatever it threw then; where its report is goes along. */
function stopped(why: PgproofError, { facts }: PgproofError): PgproofError {
  const known = Object.fromEntries(Object.entries(facts).filter(([name]) => name.startsWith('report')));
  return new PgproofError(why.code, why.message, { facts: known });
}
