import { randomBytes } from 'node:crypto';
import { v5 } from 'uuid';
import { asPgproofError, type PgproofError } from '../core/errors.ts';
import { kindOfOperation, type RunId, runId } from '../core/ids.ts';
import { type Report, report as reportSchema } from '../core/report.ts';
import type { Operation } from '../core/request.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { scrub } from './scrub.ts';

/** Whom a report belongs to. Null: nobody's workflow, the command ran with --offline. */
export type Workflow = { workflowId: string; runId: string };

export type ReportOrder = {
  operation: Operation;
  workflow: Workflow | null;
  requestedBy: string | null;
  reason: string | null;
  /** When it began elsewhere: ISO-8601 UTC. @defaultValue now */
  startedAt?: string;
  /** In what way. @defaultValue `full`, `probe`, `plan` */
  mode?: string;
  /** With what. @defaultValue the operation's own */
  tool?: string;
  /** Of what is about one database; such a report has a uuid of its own within the run. */
  database?: string;
};

/** A plain object: it may travel between the steps of a workflow. */
export type StartedReport = ReportOrder & { id: RunId; startedAt: string };

/** What an attempt came to. `keys`: objects that it made, in the nearest repository or in those that are named. */
export type Outcome =
  | {
      status: 'SUCCESS';
      result: Record<string, unknown>;
      sizeBytes?: number;
      keys?: readonly string[];
      repositories?: readonly string[];
      /** What lies on this host as a file. */
      local?: Partial<Report['local']>;
      /** In what way, where only the end shows it. */
      mode?: string;
    }
  | { status: 'FAILED' | 'CANCELLED'; errorMessage: string; result?: Record<string, unknown> };

const modes = {
  backup: 'full',
  dump: 'local',
  drill: 'probe',
  restore: 'plan',
  copy: 'all',
  verify: 'all',
  walSync: 'archive',
  expire: 'all',
} as const;
const tools = {
  backup: 'pg_basebackup',
  dump: 'pg_dump',
  drill: 'pgproof',
  restore: 'pgproof',
  copy: 'pgproof',
  verify: 'pgproof',
  walSync: 'pgproof',
  expire: 'pgproof',
} as const;

/** Draws the attempt's id; nothing is written yet. */
export function startReport(order: ReportOrder): StartedReport {
  const now = new Date();
  const id = runId(now, kindOfOperation(order.operation), randomBytes(4).toString('hex'));
  return { ...order, id, startedAt: order.startedAt ?? now.toISOString() };
}

/** The report of an attempt that has ended. Strings that look like secrets are blanked, wherever they stand. */
export function buildReport(cluster: ProtectedCluster, started: StartedReport, outcome: Outcome): Report {
  const finishedAt = new Date();
  const succeeded = outcome.status === 'SUCCESS';
  const { config } = cluster;
  const built: Report = {
    formatVersion: 1,
    id: started.id,
    uuid: reportUuid(cluster, started),
    operation: started.operation,
    cluster: cluster.name,
    host: cluster.host,
    port: config.connection.port,
    database: started.database ?? null, // null: it is about the whole cluster
    startedAt: started.startedAt,
    finishedAt: finishedAt.toISOString(),
    durationSeconds: Math.max(0, finishedAt.getTime() - Date.parse(started.startedAt)) / 1000,
    mode: (succeeded ? outcome.mode : undefined) ?? started.mode ?? modes[started.operation],
    tool: started.tool ?? tools[started.operation],
    status: outcome.status,
    errorMessage: succeeded ? null : outcome.errorMessage,
    local: {
      file: null,
      globalsFile: null,
      checksumSha256: null,
      sizeBytes: succeeded ? (outcome.sizeBytes ?? null) : null,
      ...(succeeded ? outcome.local : {}),
    },
    remote: { urls: succeeded ? urlsOf(cluster, outcome) : [] },
    workflowId: started.workflow?.workflowId ?? null,
    runId: started.workflow?.runId ?? null,
    requestedBy: started.requestedBy,
    reason: started.reason,
    result: { ...unproven(started), ...outcome.result },
  };
  return reportSchema.parse(scrub(built));
}

function urlsOf(
  { repository, repositories }: ProtectedCluster,
  { keys = [], repositories: names }: { keys?: readonly string[]; repositories?: readonly string[] },
): string[] {
  const places = names === undefined ? [repository] : repositories.filter(({ name }) => names.includes(name));
  return places.flatMap(({ location }) => keys.map((key) => `${location}/${key}`));
}

/** A drill or a verify that ended by an error, before it could come to a verdict, proved nothing either way. */
function unproven({ operation, mode }: StartedReport): Record<string, unknown> {
  if (operation === 'drill') return { kind: mode ?? modes.drill, verdict: 'inconclusive' };
  return operation === 'verify' ? { verdict: 'inconclusive' } : {};
}

/** How an attempt ended that threw. A person's own interruption is CANCELLED, everything else FAILED. */
export function failedBy(thrown: unknown, result: Record<string, unknown> = {}): Outcome {
  const error: PgproofError = asPgproofError(thrown);
  const status = error.code === 'cancelled' ? 'CANCELLED' : 'FAILED';
  return { status, errorMessage: `${error.message} [${error.code}]`, result: { ...result, error: error.toDocument() } };
}

/**
 * One uuid a run (of dumps: a run and database), so that a run's attempts are one row wherever reports are collected, and the last one wins. Offline
 * there is one attempt, and its id is the run. The namespace is the repository: copies of a report keep their uuid.
 */
function reportUuid({ repository, name }: ProtectedCluster, { id, workflow, database }: StartedReport): string {
  const of = database === undefined ? [] : [database];
  const run = workflow === null ? [id] : [workflow.workflowId, workflow.runId, ...of];
  return v5(JSON.stringify([name, ...run]), repository.id);
}
