import { compactTime } from '../core/ids.ts';
import { withClient } from '../postgres/client.ts';
import type { ProtectedCluster, ReportSink } from '../postgres/cluster.ts';
import { listQueued, listSetAside } from '../report/outbox.ts';
import { grantStatement, isComplete, lookAtTable, mayWrite, statementFor } from '../sink/table.ts';
import { attempt, type Finding, ok, warning } from './finding.ts';

/** A worker looks into its outbox every few seconds. */
const longWaitMs = 15 * 60_000;

/**
 * Whether reports reach their table; nothing where none is configured. What is wrong is a warning: nothing that pgproof promises
 * depends on it.
 */
export async function checkSink({ sink }: ProtectedCluster, signal: AbortSignal): Promise<Finding[]> {
  if (!sink) return [];
  const found = [
    ...(await attempt('report-sink', signal, async () => [await lookAtSink(sink, signal)])),
    ...(await attempt('report-outbox', signal, () => lookAtOutbox(sink))),
  ];
  return found.map((finding) => (finding.status === 'problem' ? { ...finding, status: 'warning' } : finding));
}

const patience = { connectTimeoutSeconds: 5, statementTimeoutSeconds: 5, applicationName: 'pgproof check' };

async function lookAtSink(sink: ReportSink, signal: AbortSignal): Promise<Finding> {
  const name = 'report-sink';
  return withClient(
    sink.connection,
    async (client) => {
      const state = await lookAtTable(client, sink);
      const grant = grantStatement(sink);
      if (!isComplete(state)) {
        const what = state.exists ? `lacks ${state.missing.join(', ')}` : 'is not there yet';
        const detail = `'${sink.table}' ${what}: the first report that is sent sees to it, if the role may`;
        return warning(name, detail, `${statementFor(sink, state)}\n${grant}`);
      }
      if (!(await mayWrite(client, sink))) return warning(name, `the role may not write '${sink.table}'`, grant);
      return ok(name, `'${sink.table}' takes reports`);
    },
    { ...patience, signal },
  );
}

async function lookAtOutbox({ outbox }: ReportSink): Promise<Finding[]> {
  const name = 'report-outbox';
  const aside = await listSetAside(outbox);
  if (aside.length > 0)
    return [
      warning(
        name,
        `${aside.length} reports cannot be read and were put aside in '${outbox}'`,
        'Look at the files that end in .unreadable, then remove them; the reports lie in the repositories, too.',
      ),
    ];
  const [oldest, ...others] = await listQueued(outbox);
  if (oldest === undefined) return [ok(name, 'no report waits to be sent')];
  const waiting = others.length === 0 ? '1 report waits' : `${1 + others.length} reports wait`;
  const detail = `${waiting} to be sent, the oldest since ${oldest.slice(0, 16)}`;
  const isLong = oldest < compactTime(new Date(Date.now() - longWaitMs));
  return [
    isLong
      ? warning(name, detail, 'Is the worker of this host running? Its log says why they wait.')
      : ok(name, detail),
  ];
}
