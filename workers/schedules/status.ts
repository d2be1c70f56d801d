import type { Client, ScheduleDescription } from '@temporalio/client';
import { WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import { ActivityFailure, defineSearchAttributeKey } from '@temporalio/common';
import type { Config } from '../../core/config.ts';
import { inParallel } from '../../core/parallel.ts';
import type { FiledReport } from '../../core/report.ts';
import { features, workflowTypes } from '../../core/request.ts';
import { patiently, width } from './calls.ts';
import { changeOf, changeText, type ScheduleChange } from './plan.ts';
import { type FleetSchedule, readSchedules } from './read.ts';
import { foundTerms, wantedTerms } from './terms.ts';

/** The run that a schedule began last. */
export type LastRun = {
  workflowId: string;
  /** When it was begun; ISO-8601 UTC. */
  at: string;
  /** `failed`: also a verify or a drill whose verdict is not `passed`. `gone`: Temporal has forgotten it; the reports in the repository have not. */
  outcome: 'running' | 'completed' | 'failed' | 'cancelled' | 'terminated' | 'timed out' | 'gone';
  /** What it failed with, or what its verdict rests on. */
  error: string | null;
};

/** How a schedule stands. */
export type ScheduleStatus = {
  id: string;
  cluster: string;
  name: string;
  /** As the configuration has it; where it does not know the schedule, by the type of its workflow. */
  operation: string;
  when: string;
  timezone: string;
  /** `differs`: it is not as the configuration has it; `drift` says how. */
  state: 'active' | 'paused' | 'missing' | 'differs';
  /** What the person said who paused it. */
  note: string | null;
  drift: string | null;
  /** The next runs as Temporal will begin them; ISO-8601 UTC. */
  next: string[];
  last: LastRun | null;
  /** Since it was made: runs begun, missed because Temporal was away too long, left out because the one before was under way. */
  runs: number;
  missed: number;
  skipped: number;
};

/**
 * All schedules of the fleet, those that only the configuration or only Temporal has among them.
 * @param cluster only this one's.
 * @throws {PgproofError} `temporal-unreachable`.
 */
export async function listSchedules(
  client: Client,
  config: Config,
  options: { signal: AbortSignal; cluster?: string },
): Promise<ScheduleStatus[]> {
  const schedules = await readSchedules(client, config, options);
  const last = new Map<string, LastRun>();
  await inParallel(schedules, { width, signal: options.signal }, async ({ id, found }) => {
    const begun = found?.info.recentActions.at(-1);
    if (begun === undefined) return;
    const { workflowId } = begun.action.workflow;
    const outcome = await patiently(client, options.signal, () => outcomeOf(client, workflowId));
    last.set(id, { workflowId, at: begun.takenAt.toISOString(), ...outcome });
  });
  return schedules.map((schedule) => statusOf(schedule, last.get(schedule.id) ?? null));
}

function statusOf(schedule: FleetSchedule, last: LastRun | null): ScheduleStatus {
  const { id, cluster, name, wanted, found } = schedule;
  const { workflow, when, timezone } =
    wanted === undefined ? foundTerms(found as ScheduleDescription) : wantedTerms(wanted);
  const change = changeOf(schedule);
  const paused = found?.state.paused === true;
  return {
    id,
    cluster,
    name,
    operation: wanted?.operation ?? operationOf(workflow.split(' ')[0] as string),
    when,
    timezone,
    state: stateOf(change, paused),
    note: paused ? (found.state.note ?? '') : null,
    drift: change === undefined ? null : changeText(change),
    next: paused ? [] : (found?.info.nextActionTimes ?? []).map((at) => at.toISOString()),
    last,
    runs: found?.info.numActionsTaken ?? 0,
    missed: found?.info.numActionsMissedCatchupWindow ?? 0,
    skipped: found?.info.numActionsSkippedOverlap ?? 0,
  };
}

/** The operation that a workflow's type stands for; of one that nobody here knows, the type. */
const operationOf = (type: string): string => features.find((feature) => workflowTypes[feature] === type) ?? type;

/** A pause is said even of what differs: nothing runs, and that matters most. */
function stateOf(change: ScheduleChange | undefined, paused: boolean): ScheduleStatus['state'] {
  if (paused) return 'paused';
  if (change === undefined) return 'active';
  return change.kind === 'create' ? 'missing' : 'differs';
}

async function outcomeOf(client: Client, workflowId: string): Promise<Pick<LastRun, 'outcome' | 'error'>> {
  const handle = client.workflow.getHandle(workflowId);
  try {
    const { status, typedSearchAttributes } = await handle.describe();
    const outcome = outcomes[status.name];
    if (outcome === undefined) return { outcome: 'running', error: null };
    const verdict = typedSearchAttributes.get(verdictKey) ?? 'passed';
    if (outcome === 'completed' && verdict !== 'passed')
      return { outcome: 'failed', error: `its verdict is '${verdict}'${await whyOf(handle.result())}` };
    return { outcome, error: outcome === 'failed' ? await failureOf(handle.result()) : null };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { outcome: 'gone', error: null };
    throw error;
  }
}

/** Damage that a verify found, and a drill that did not prove anything, are answers of runs that Temporal calls completed. */
const verdictKey = defineSearchAttributeKey('PgVerdict', 'KEYWORD');

async function whyOf(result: Promise<unknown>): Promise<string> {
  const { report } = (await result) as Partial<FiledReport>;
  return typeof report?.errorMessage === 'string' ? `: ${report.errorMessage}` : '';
}

const outcomes: Record<string, Exclude<LastRun['outcome'], 'running' | 'gone'>> = {
  COMPLETED: 'completed',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
  TERMINATED: 'terminated',
  TIMED_OUT: 'timed out',
};

async function failureOf(result: Promise<unknown>): Promise<string | null> {
  try {
    await result;
    return null;
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const cause = error.cause instanceof ActivityFailure ? error.cause.cause : error.cause;
    return cause?.message ?? error.message;
  }
}
