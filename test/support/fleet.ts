import { type Followed, followRun } from '../../client/follow.ts';
import {
  connectTemporal,
  type OperationRequest,
  type StartedRun,
  startOperation,
  type Temporal,
} from '../../client/temporal.ts';
import type { Config } from '../../core/config.ts';
import type { FiledReport } from '../../core/report.ts';
import type { Operation } from '../../core/request.ts';
import type { Timeouts } from '../../core/timeouts.ts';
import { runControl } from '../../workers/control.ts';
import { openStage, type Stage } from './stage.ts';
import { bundleCache, shortTimeouts, silent, startTemporal, type TestTemporal } from './temporal.ts';

/** A stage with its Temporal server and control worker. Host workers are processes of their own: `startWorker(fleet.stage)`. */
export type Fleet = {
  stage: Stage;
  server: TestTemporal;
  temporal: Temporal;
  start<O extends Operation>(operation: O, request?: Partial<OperationRequest<O>>): Promise<StartedRun>;
  /** Waits for its end; throws what it failed with. */
  finish(run: StartedRun): Promise<FiledReport>;
  /** As a person does who cancels it in Temporal's own interface. */
  cancel(run: StartedRun): Promise<unknown>;
  dispose(): Promise<void>;
};

type FleetOptions = {
  major: string;
  password?: string;
  offsite?: boolean;
  timeouts?: Timeouts;
  /** Of the control worker, where it is not the stage's. */
  controlConfig?: (stage: Stage) => Promise<Config>;
};

export async function openFleet({
  major,
  password,
  offsite = false,
  timeouts = shortTimeouts,
  controlConfig = async (stage) => stage.host.config,
}: FleetOptions): Promise<Fleet> {
  const closers: (() => Promise<void>)[] = [];
  const dispose = async (): Promise<void> => {
    for (const close of closers.reverse()) await close();
  };
  try {
    const server = await startTemporal();
    closers.push(server.dispose);
    const stage = await openStage({
      major,
      offsite,
      ports: server.ports,
      ...(password === undefined ? {} : { password }),
    });
    closers.push(stage.dispose);
    const temporal = await connectTemporal(server.settings, null);
    closers.push(temporal.close);
    closers.push(await startControl(await controlConfig(stage), server, timeouts));
    return {
      stage,
      server,
      temporal,
      start: (operation, request = {}) =>
        startOperation(temporal, 'main', operation, { cluster: 'shop', ...request } as OperationRequest<
          typeof operation
        >),
      finish: async (run) => resultOf(await followRun<FiledReport>(temporal, run, { fleet: 'main', signal: never })),
      cancel: ({ workflowId, runId }) => temporal.client.workflow.getHandle(workflowId, runId).cancel(),
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

const never = new AbortController().signal;

function resultOf(followed: Followed<FiledReport>): FiledReport {
  if (followed.state === 'done') return followed.result;
  throw new Error('nobody detaches here');
}

async function startControl(config: Config, server: TestTemporal, timeouts: Timeouts): Promise<() => Promise<void>> {
  const stop = new AbortController();
  const serving = Promise.withResolvers<void>();
  const running = runControl({
    config,
    temporal: server.settings,
    log: silent,
    signal: stop.signal,
    timeouts,
    cache: bundleCache(),
    onServing: serving.resolve,
  });
  await Promise.race([serving.promise, running]);
  return async () => {
    stop.abort();
    await running;
  };
}
