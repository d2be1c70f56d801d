import { randomBytes } from 'node:crypto';
import { Client, type Connection } from '@temporalio/client';
import { PgproofError } from '../core/errors.ts';
import { compactTime } from '../core/ids.ts';
import { controlQueue } from '../core/queues.ts';
import { type Feature, type Requests, workflowTypes } from '../core/request.ts';
import { locateTemporal } from '../workers/embedded/locate.ts';
import { assertOwnServer } from '../workers/embedded/owner.ts';
import { openConnection } from '../workers/grpc.ts';
import { openDataConverter } from '../workers/payloads.ts';
import type { TemporalSettings } from '../workers/temporal.ts';

/** A connection for one invocation. Close it. */
export type Temporal = { client: Client; connection: Connection; settings: TemporalSettings; close(): Promise<void> };

/** A workflow that was started; all that is needed to find it again. */
export type StartedRun = {
  operation: Feature;
  workflowId: string;
  runId: string;
  /** The run's page in the web UI, where we know the UI. */
  url: string | null;
};

/** What is sent: fields with a default may be left out. */
export type OperationRequest<O extends Feature> = Pick<Requests[O], 'cluster'> & Partial<Requests[O]>;

/**
 * Connects, within 2 s or not at all.
 * @param offline the command that does the same without Temporal, for the hint.
 * @throws {PgproofError} `temporal-unreachable`, naming the address; `temporal-foreign`; `key-file-*` of the key that seals payloads.
 */
export async function connectTemporal(settings: TemporalSettings, offline: string | null): Promise<Temporal> {
  const { namespace } = settings;
  const dataConverter = await openDataConverter(settings.payloadKeyFile);
  const connection = openConnection(settings.connection);
  try {
    const { workflowService } = connection;
    const { namespaceInfo } = await connection.withDeadline(Date.now() + 1800, () =>
      workflowService.describeNamespace({ namespace }),
    );
    assertOwnServer(settings, namespaceInfo?.data);
  } catch (error) {
    await connection.close();
    throw error instanceof PgproofError ? error : unreachable(settings, offline, error);
  }
  const client = new Client({ connection, namespace, dataConverter });
  return { client, connection, settings, close: () => connection.close() };
}

/** Starts an operation; two at once on a cluster wait for each other by its lock, not by their ids. */
export async function startOperation<O extends Feature>(
  { client, settings }: Temporal,
  fleet: string,
  operation: O,
  request: OperationRequest<O>,
): Promise<StartedRun> {
  const workflowId = `${operation}-${request.cluster}-${compactTime(new Date())}-${randomBytes(4).toString('hex')}`;
  const handle = await client.workflow.start(workflowTypes[operation], {
    taskQueue: controlQueue(fleet),
    workflowId,
    args: [request],
    staticSummary: `${operation} of ${request.cluster}`,
  });
  const runId = handle.firstExecutionRunId;
  return { operation, workflowId, runId, url: pageOf(settings, workflowId, runId) };
}

/** The commands of Temporal's own tool, for somebody who detached: they need nothing of ours. */
export function commandsFor({ address, namespace, embedded }: TemporalSettings, { workflowId }: StartedRun) {
  const temporal = toolOf(embedded);
  const where = `--address ${address} --namespace ${namespace} --workflow-id ${workflowId}`;
  return { follow: `${temporal} workflow show --follow ${where}`, cancel: `${temporal} workflow cancel ${where}` };
}

/** The embedded server's own program is seldom on PATH; whoever runs a server of their own has theirs. */
function toolOf(embedded: boolean): string {
  try {
    return embedded ? locateTemporal(process.env) : 'temporal';
  } catch {
    return 'temporal'; // the server runs on another machine, or was removed since
  }
}

function pageOf({ uiUrl, namespace }: TemporalSettings, workflowId: string, runId: string): string | null {
  return uiUrl === null ? null : `${uiUrl}/namespaces/${namespace}/workflows/${workflowId}/${runId}/timeline`;
}

function unreachable(
  { address, namespace, embedded }: TemporalSettings,
  offline: string | null,
  cause: unknown,
): PgproofError {
  const start = embedded
    ? `Start it with 'pgproof up', or set TEMPORAL_ADDRESS to your own server.`
    : 'Check TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and the profile, and that the server runs.';
  const without = offline === null ? '' : ` Without Temporal: ${offline}`;
  return new PgproofError('temporal-unreachable', `Temporal does not answer at ${address} (namespace ${namespace})`, {
    facts: { address, namespace },
    hint: `${start}${without}`,
    cause,
  });
}
