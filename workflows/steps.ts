import { type ActivityOptions, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { ControlActivities, Resolved } from '../activities/control.ts';
import type { HostActivities } from '../activities/host.ts';
import { priorities } from '../core/priority.ts';
import { attemptSeconds } from '../core/timeouts.ts';
import { unknownStep } from './failure.ts';

/*
 * Who does which step, and how long it may take. The numbers are in core/timeouts.ts; `resolve` hands them over.
 */

/** The control worker's steps, on the queue this workflow came from. Before `resolve` there is no profile to take. */
export const controlSteps = () =>
  proxyActivities<ControlActivities>({
    taskQueue: workflowInfo().taskQueue,
    startToCloseTimeout: '30 seconds',
    scheduleToCloseTimeout: '5 minutes',
    summary: 'which host',
  });

/** It only asks whether somebody is there. */
export const helloOn = (at: Resolved) => onceOn(at, `is the worker of ${at.host} there`);

/** Tried once and not for long: for what is done without, where nobody is there. */
export const onceOn = (at: Resolved, summary: string) =>
  proxyActivities<HostActivities>({
    taskQueue: at.queues.quick,
    scheduleToStartTimeout: seconds(at.timeouts.quick.hello),
    startToCloseTimeout: seconds(Math.min(at.timeouts.quick.startToClose, 30)),
    retry: { maximumAttempts: 1 },
    ...priorityOf(at),
    summary,
  });

/** @param attempts a step that a person waits for is not tried for a quarter of an hour. */
export const quickOn = (at: Resolved, summary: string, attempts?: number) =>
  proxyActivities<HostActivities>({
    taskQueue: at.queues.quick,
    startToCloseTimeout: seconds(at.timeouts.quick.startToClose),
    scheduleToCloseTimeout: seconds(at.timeouts.quick.scheduleToClose),
    heartbeatTimeout: seconds(at.timeouts.quick.startToClose),
    retry: {
      initialInterval: seconds(at.timeouts.quick.firstRetry),
      nonRetryableErrorTypes: [unknownStep],
      ...(attempts === undefined ? {} : { maximumAttempts: attempts }),
    },
    ...priorityOf(at),
    summary,
  });

/** The long steps, on the host's few slots. @param bytes what there is to move, null where nobody knows. */
export const bulkOn = (at: Resolved, summary: string, bytes: number | null = null) =>
  proxyActivities<HostActivities>(bulk(at, at.queues.bulk, summary, bytes));

/** A restore has a queue of its own: nobody who restores waits behind a backup. */
export const restoreOn = (at: Resolved, summary: string) =>
  proxyActivities<HostActivities>(bulk(at, at.queues.restore, summary, null));

/**
 * A long step that waits for somebody else: each attempt only for a while, so that the slot is free in between, and again
 * until the deadline.
 */
export const patientOn = (at: Resolved, summary: string) => {
  const { firstRetry, longestRetry, deadline } = at.timeouts.bulk.busy;
  return proxyActivities<HostActivities>({
    ...bulk(at, at.queues.bulk, summary, null),
    scheduleToCloseTimeout: seconds(deadline),
    retry: {
      initialInterval: seconds(firstRetry),
      maximumInterval: seconds(longestRetry),
      nonRetryableErrorTypes: [unknownStep],
    },
  });
};

function bulk(at: Resolved, taskQueue: string, summary: string, bytes: number | null): ActivityOptions {
  const { timeouts } = at;
  const { scheduleToStart, heartbeat, attempts, firstRetry } = timeouts.bulk;
  return {
    taskQueue,
    scheduleToStartTimeout: seconds(scheduleToStart),
    startToCloseTimeout: seconds(attemptSeconds(timeouts.bulk, bytes)),
    heartbeatTimeout: seconds(heartbeat),
    // A busy cluster is waited for by the workflow (busy.ts): it may take hours, and must not use up the attempts.
    retry: {
      maximumAttempts: attempts,
      initialInterval: seconds(firstRetry),
      nonRetryableErrorTypes: ['cluster-busy', unknownStep],
    },
    ...priorityOf(at),
    summary,
  };
}

/** A server that knows no priorities takes steps as they come. Old histories do not say what they do. */
const priorityOf = ({ operation }: Resolved): Pick<ActivityOptions, 'priority'> =>
  operation === undefined ? {} : { priority: { priorityKey: priorities[operation] } };

const seconds = (count: number): number => count * 1000;
