import type { Command } from 'commander';
import { PgproofError } from '../core/errors.ts';
import type { FiledReport } from '../core/report.ts';
import type { Operation } from '../core/request.ts';
import type { Host } from '../host/host.ts';
import { clusterConfig } from '../host/lookup.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type Places, renderReport } from '../report/render.ts';
import { locationOf } from '../repository/location.ts';
import { temporalSettings } from '../workers/temporal.ts';
import { followRun, type RunState } from './follow.ts';
import { doOffline } from './offline.ts';
import type { Answer, Session } from './session.ts';
import {
  commandsFor,
  connectTemporal,
  type OperationRequest,
  type StartedRun,
  startOperation,
  type Temporal,
} from './temporal.ts';

/** The flags that every operation has. */
export function operationOptions(command: Command): Command {
  return sharedOptions(command).option('--no-wait', 'fail at once when the cluster is busy, in place of waiting');
}

/** Those of an operation that needs the cluster not for itself. */
export function sharedOptions(command: Command): Command {
  return command
    .option('--reason <text>', 'why; stands in the report')
    .option('--offline', 'do it here and now, without Temporal, under the same lock')
    .option('--detach', 'start it and do not wait for it');
}

export type Plan<O extends Operation, Result = FiledReport> = {
  operation: O;
  cluster: string;
  /** What the workflow is told beyond cluster, reason and who asks. */
  more?: Omit<OperationRequest<O>, 'cluster'>;
  /** How the same is done without Temporal, for the hint. */
  typed: string;
  /** The same by this process; files its report itself. */
  offline(cluster: ProtectedCluster, asked: { reason: string | null; requestedBy: string }): Promise<Result>;
};

/** An operation that has ended well. `temporalUrl`: the run's page in the web UI. */
export type Done<Result> = { host: Host; cluster: string; result: Result; temporalUrl: string | null };

/** Starts an operation, shows how it goes, and answers with its report; Ctrl-C stops looking, not the operation. */
export function operate<O extends Operation>(session: Session, plan: Plan<O>): Promise<Answer> {
  return operateWith(session, plan, reportAnswer);
}

/** As `operate`, of an operation that comes to something else than one report. */
export async function operateWith<O extends Operation, Result>(
  session: Session,
  plan: Plan<O, Result>,
  answer: (done: Done<Result>) => Answer | Promise<Answer>,
): Promise<Answer> {
  const { options, requestedBy } = session;
  if (options.offline === true && options.detach === true)
    throw new PgproofError('usage', '--offline and --detach exclude each other');
  const host = await session.host();
  const reason = (options.reason as string | undefined) ?? null;
  if (options.offline === true) {
    const asked = { reason, requestedBy };
    const result = await doOffline(session, plan.cluster, (cluster) => plan.offline(cluster, asked));
    return answer({ host, cluster: plan.cluster, result, temporalUrl: null });
  }
  clusterConfig(host, plan.cluster); // a name that is mistyped is said before anything else
  const request = { cluster: plan.cluster, reason, requestedBy, noWait: options.wait === false, ...plan.more };
  return throughTemporal(session, host, plan, request, answer);
}

async function throughTemporal<O extends Operation, Result>(
  session: Session,
  host: Host,
  plan: Plan<O, Result>,
  request: { cluster: string },
  answer: (done: Done<Result>) => Answer | Promise<Answer>,
): Promise<Answer> {
  const temporal = await connectTemporal(temporalSettings(host.config, process.env), `${plan.typed} --offline`);
  try {
    const { fleet } = host.config;
    const run = await startOperation(temporal, fleet, plan.operation, request as OperationRequest<O>);
    if (session.options.detach === true) return detached(temporal, run, 0);
    session.say(
      `${run.operation} of ${plan.cluster} is workflow ${run.workflowId}${run.url === null ? '' : `\n${run.url}`}`,
    );
    const followed = await followRun<Result>(temporal, run, {
      fleet,
      signal: session.signal,
      onState: teller(session),
    });
    return followed.state === 'done'
      ? await answer({ host, cluster: plan.cluster, result: followed.result, temporalUrl: run.url })
      : detached(temporal, run, 130);
  } finally {
    await temporal.close();
  }
}

/** Tells of a step when it changes how it stands, and passes its progress on. */
function teller({ say, run }: Session): (state: RunState) => void {
  let last = '';
  return ({ step, state, attempt, progress, lastFailure }) => {
    const stands = `${step} ${state} ${attempt}`;
    if (stands !== last && (attempt > 1 || state === 'waiting')) {
      const what = step.startsWith('waiting')
        ? step
        : `step ${step} ${state === 'waiting' ? 'waits to be taken' : 'runs'}`;
      say(
        `  ${what}${attempt > 1 ? `, attempt ${attempt}` : ''}${lastFailure === null ? '' : ` (before: ${lastFailure})`}`,
      );
    }
    last = stands;
    if (progress !== null) run.progress(progress);
  };
}

function detached(temporal: Temporal, run: StartedRun, exitCode: number): Answer {
  const { follow, cancel } = commandsFor(temporal.settings, run);
  const { operation, workflowId, runId, url } = run;
  const lines = [
    `${operation} goes on as workflow ${workflowId}`,
    ...(url === null ? [] : [`look:    ${url}`]),
    `follow:  ${follow}`,
    `cancel:  ${cancel}`,
  ];
  return {
    json: { detached: true, operation, workflowId, runId, url, follow, cancel },
    text: lines.join('\n'),
    exitCode,
  };
}

/** Where a report lies, for people. */
export function reportPlace(host: Host, cluster: string, { key, repository }: Pick<FiledReport, 'key' | 'repository'>) {
  const name = repository ?? (host.config.clusters[cluster]?.repositories[0] as string);
  const config = host.config.repositories[name];
  return config === undefined || key === null ? key : `${locationOf(config)}/${key}`;
}

function reportAnswer({ host, cluster, result: filed, temporalUrl }: Done<FiledReport>): Answer {
  const { key, report } = filed;
  const reportFile = reportPlace(host, cluster, filed);
  const more: [string, string][] = key === null ? [['report', 'none: it would say what the last one said']] : [];
  const places: Places = { reportFile, temporalUrl, more };
  const { verdict } = report.result;
  const exitCode = verdict === undefined || verdict === 'passed' ? 0 : verdict === 'failed' ? 3 : 1;
  return { json: { ...report, reportFile }, text: renderReport(report, places), exitCode };
}
