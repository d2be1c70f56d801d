import { asPgproofError, type PgproofError } from '../core/errors.ts';
import type { FiledReport, Report } from '../core/report.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { reportKey } from '../repository/layout.ts';
import { putReport } from '../repository/reports.ts';
import type { Repository } from '../repository/repository.ts';
import { queueReport } from './outbox.ts';
import { buildReport, failedBy, type Outcome, type ReportOrder, type StartedReport, startReport } from './report.ts';

/** Reports are small, and a cancelled attempt has no signal left to wait by. */
const patienceSeconds = 60;

/**
 * Writes the report of an attempt into the nearest repository that takes it, and puts it on its way to the sink. Takes no signal on
 * purpose: a cancelled attempt is reported too.
 * @throws {PgproofError} what the nearest one's store says, when none takes it; `timeout` after a minute.
 */
export async function finishReport(
  cluster: ProtectedCluster,
  started: StartedReport,
  outcome: Outcome,
): Promise<FiledReport & { key: string }> {
  const report = buildReport(cluster, started, outcome);
  if (cluster.sink) await queueReport(cluster.sink, report); // first: a repository that is away is what a table should tell of, too
  const repository = await putInOne(cluster.repositories, report);
  return { key: reportKey(cluster.name, report.id), repository, report };
}

/** @returns the name of the one that took it. */
async function putInOne(repositories: readonly Repository[], report: Report): Promise<string> {
  const failures: unknown[] = [];
  for (const repository of repositories) {
    try {
      await putReport(repository, report, { signal: AbortSignal.timeout(patienceSeconds * 1000) });
      return repository.name;
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[0];
}

/**
 * Does `work` and leaves a report of it, whatever it comes to. When it fails, the error goes on to the caller, with the
 * report's key as a fact; when its report cannot be written either, with the reason of that.
 */
export async function reported(
  cluster: ProtectedCluster,
  order: ReportOrder,
  work: (started: StartedReport) => Promise<Outcome>,
): Promise<FiledReport> {
  const started = startReport(order);
  const outcome = await reportedFailure(cluster, started, () => work(started));
  return finishReport(cluster, started, outcome);
}

/** As `reported`, of work that leaves a report only when it fails. */
export async function reportedFailure<Result>(
  cluster: ProtectedCluster,
  started: StartedReport,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const known = asPgproofError(error);
    // Reports in another fleet's repository would pass for its own.
    throw known.code === 'owner-other' ? known : await withReport(cluster, started, known);
  }
}

/** The error of a failed attempt, which says where the report is that was left of it, or why there is none. */
export async function withReport(
  cluster: ProtectedCluster,
  started: StartedReport,
  error: PgproofError,
): Promise<PgproofError> {
  try {
    const { key } = await finishReport(cluster, started, failedBy(error));
    return error.retold({ facts: { report: key } });
  } catch (unwritten) {
    return error.retold({ facts: { report: null, reportError: asPgproofError(unwritten).message } });
  }
}
