import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  isGrpcServiceError,
  ServiceError,
  type WorkflowExecutionDescription,
  WorkflowFailedError,
  type WorkflowHandle,
} from '@temporalio/client';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/common';
import {
  decodeFromPayloadsAtIndex,
  decodeOptionalFailureToOptionalError,
} from '@temporalio/common/lib/internal-non-workflow/index.js';
import { type Facts, isErrorCode, PgproofError } from '../core/errors.ts';
import { controlQueue } from '../core/queues.ts';
import type { Progress } from '../core/run.ts';
import type { StartedRun, Temporal } from './temporal.ts';

/** How a run stands: the step it is at, and how far that is. */
export type RunState = {
  step: string;
  /** Waiting for a worker to take it, or for its next attempt; or being done. */
  state: 'waiting' | 'running';
  attempt: number;
  progress: Progress | null;
  /** What the attempt before this one ended with. */
  lastFailure: string | null;
};

export type Followed<Result> = { state: 'done'; result: Result } | { state: 'detached' };

type FollowOptions = {
  fleet: string;
  /** Aborting detaches: the run goes on. */
  signal: AbortSignal;
  onState?: (state: RunState) => void;
};

/** How long a run may lie there before somebody is told that no control worker takes it. */
const firstTaskMs = 8000;
const pollMs = 500;
/** How long Temporal may be silent before we stop looking: long enough for a restart. */
const silenceMs = 60_000;

/**
 * Waits for a run to end and tells how it stands meanwhile. Outages of Temporal shorter than a minute are waited out.
 * @throws {PgproofError} what the run failed with, as if it had been done here; `worker-absent` within 10 s when no
 * control worker took it, in which case the run is ended, so that it does not begin hours later; `cancelled`;
 * `temporal-unreachable`, while the run goes on.
 */
export async function followRun<Result>(
  { client }: Temporal,
  run: StartedRun,
  { fleet, signal, onState }: FollowOptions,
): Promise<Followed<Result>> {
  const handle = client.workflow.getHandle(run.workflowId, run.runId);
  const leaving = new AbortController();
  const ended = endOf(client, handle, leaving.signal);
  try {
    return await lookUntilEnded(client, handle, run, ended, { fleet, signal, onState });
  } finally {
    leaving.abort();
  }
}

async function lookUntilEnded<Result>(
  client: Client,
  handle: WorkflowHandle,
  run: StartedRun,
  ended: Promise<void>,
  { fleet, signal, onState }: FollowOptions,
): Promise<Followed<Result>> {
  const began = Date.now();
  let heardAt = began;
  let waking = [ended];
  while (!signal.aborted) {
    try {
      const description = await client.withDeadline(Date.now() + 5000, () => handle.describe());
      heardAt = Date.now();
      if (description.status.name !== 'RUNNING') return { state: 'done', result: (await handle.result()) as Result };
      if (isUntouched(description) && heardAt - began > firstTaskMs) {
        await handle.terminate('no control worker took it');
        throw noControlWorker(run, fleet);
      }
      const states = await statesOf(client, description);
      const waiting = states.length === 0 ? await waitingState(client, handle) : undefined;
      for (const state of waiting === undefined ? states : [waiting]) onState?.(state);
    } catch (error) {
      if (!isOutage(error) || Date.now() - heardAt > silenceMs) throw errorOf(error, run);
    }
    const pause = sleep(pollMs, undefined, { signal }).catch(() => undefined);
    const isOver = await Promise.race([...waking.map((end) => end.then(() => true)), pause.then(() => false)]);
    if (isOver) waking = []; // once: where Temporal goes away in that moment, the looks go on at their pace
  }
  return { state: 'detached' };
}

/** In the moment in which it ends. Where Temporal cannot be asked, that is left to the looks. */
function endOf(client: Client, handle: WorkflowHandle, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    client
      .withAbortSignal(signal, () => handle.result())
      .then(
        () => resolve(),
        (error: unknown) => {
          if (error instanceof WorkflowFailedError) resolve();
        },
      );
  });
}

/** gRPC's UNAVAILABLE and DEADLINE_EXCEEDED: somebody may be there again in a moment. */
function isOutage(error: unknown): boolean {
  const cause = error instanceof ServiceError ? error.cause : error;
  return isGrpcServiceError(cause) && (cause.code === 14 || cause.code === 4);
}

/** Started and scheduled, and then nothing: two events are what a run has before a worker takes its first task. */
const isUntouched = ({ status, historyLength }: WorkflowExecutionDescription): boolean =>
  status.name === 'RUNNING' && historyLength <= 2;

function statesOf(client: Client, { raw }: WorkflowExecutionDescription): Promise<RunState[]> {
  const { loadedDataConverter: converter } = client.options;
  const states = (raw.pendingActivities ?? []).map(async (pending): Promise<RunState> => {
    const said = pending.heartbeatDetails?.payloads ?? [];
    const failure = await decodeOptionalFailureToOptionalError(converter, pending.lastFailure);
    return {
      step: pending.activityType?.name ?? '',
      state: pending.state === 2 ? 'running' : 'waiting', // PENDING_ACTIVITY_STATE_STARTED
      attempt: pending.attempt ?? 1,
      progress:
        said.length === 0
          ? null
          : ((await decodeFromPayloadsAtIndex<Progress | undefined>(converter, 0, said)) ?? null),
      lastFailure: failure?.message ?? null,
    };
  });
  return Promise.all(states);
}

/** Between its steps a run says itself what it waits for, such as the holder of a busy cluster. */
async function waitingState(client: Client, handle: WorkflowHandle): Promise<RunState | undefined> {
  const ask = () => handle.query<{ currentDetails?: string }, []>('__temporal_workflow_metadata');
  // Only for the eye: a control worker that is busy or gone shows in other ways.
  const said = await client.withDeadline(Date.now() + 2000, ask).catch(() => undefined);
  const details = said?.currentDetails;
  if (!details?.startsWith('waiting')) return undefined;
  return { step: details, state: 'waiting', attempt: 1, progress: null, lastFailure: null };
}

/** What a run ended with, as one of ours again: code, facts and hint have travelled along. */
export function errorOf(error: unknown, run: StartedRun): unknown {
  const { operation, workflowId } = run;
  if (isOutage(error)) return lostSight(error, run);
  if (!(error instanceof WorkflowFailedError)) return error;
  const cause = error.cause instanceof ActivityFailure ? error.cause.cause : error.cause;
  const facts: Facts = { workflowId };
  if (cause instanceof ApplicationFailure) return typedError(cause, facts);
  if (cause instanceof CancelledFailure)
    return new PgproofError('cancelled', `the ${operation} was cancelled`, { facts });
  if (cause instanceof TerminatedFailure)
    return new PgproofError('cancelled', `the ${operation} was terminated`, { facts });
  if (cause instanceof TimeoutFailure)
    return new PgproofError('timeout', `the ${operation} took longer than it may`, { facts });
  return new PgproofError('internal', error.message, { facts, cause: error });
}

function lostSight(cause: unknown, { operation, workflowId }: StartedRun): PgproofError {
  return new PgproofError('temporal-unreachable', `Temporal stopped answering while the ${operation} ran`, {
    facts: { workflowId },
    hint: 'The step that is running goes on, and the run continues when Temporal is back. Reports in the repository tell how it ended.',
    cause,
  });
}

function typedError({ type, message, details }: ApplicationFailure, more: Facts): PgproofError {
  const [facts, hint] = (details ?? []) as [Facts?, (string | null)?];
  return new PgproofError(type != null && isErrorCode(type) ? type : 'internal', message, {
    facts: { ...facts, ...more },
    ...(hint == null ? {} : { hint }),
  });
}

function noControlWorker({ operation, workflowId }: StartedRun, fleet: string): PgproofError {
  const queue = controlQueue(fleet);
  return new PgproofError(
    'worker-absent',
    `no control worker answers on the queue ${queue}; the ${operation} was not begun`,
    {
      facts: { queue, workflowId },
      hint: "Start one with 'pgproof up', or 'pgproof worker --control' beside your own Temporal. Nothing was left waiting.",
    },
  );
}
