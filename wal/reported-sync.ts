import { asPgproofError, PgproofError } from '../core/errors.ts';
import { formatSeconds } from '../core/format.ts';
import type { FiledReport } from '../core/report.ts';
import type { Run } from '../core/run.ts';
import type { WalSyncResult } from '../core/wal-sync.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { finishReport } from '../report/file.ts';
import { buildReport, failedBy, type Outcome, startReport, type Workflow } from '../report/report.ts';
import { isBroken, syncWal } from './sync.ts';
import { readSyncNotes, writeSyncNotes } from './sync-notes.ts';

type Order = {
  reason: string | null;
  requestedBy: string | null;
  startedAt?: string;
  /** What a person should know besides; stands in the report. */
  notes?: readonly string[];
};

/** What lasts is reported again after so long. */
const repeatAfterMs = 86_400_000;

/**
 * Makes sure of the WAL, and files a report when the answer is another one than last time, or a day old: a run every 15 minutes
 * must not bury the reports of backups.
 * @throws {PgproofError} `objective-broken`, or whatever `syncWal` throws; the fact `report` is the key of the report that
 * tells of it, this run's or an earlier one's.
 */
export async function reportedWalSync(
  cluster: ProtectedCluster,
  { notes = [], ...order }: Order,
  run: Run,
  workflow: Workflow | null,
  options: { patienceSeconds?: number } = {},
): Promise<FiledReport> {
  const started = startReport({ operation: 'walSync', workflow, ...order });
  const { outcome, error } = await attempt(cluster, run, { ...options, notes });
  const answer = error?.code ?? 'kept';
  const { state } = cluster.paths;
  const last = await readSyncNotes(state);
  if (last?.answer === answer && Date.now() - Date.parse(last.filedAt) < repeatAfterMs) {
    if (error !== null) throw error.retold({ facts: { report: last.report } });
    return { key: null, report: buildReport(cluster, started, outcome) };
  }
  const filed = await finishReport(cluster, started, outcome).catch((unwritten: unknown) => {
    if (error === null) throw unwritten;
    throw error.retold({ facts: { report: null, reportError: asPgproofError(unwritten).message } });
  });
  await writeSyncNotes(state, { answer, report: filed.key, filedAt: filed.report.finishedAt });
  if (error !== null) throw error.retold({ facts: { report: filed.key } });
  return filed;
}

async function attempt(
  cluster: ProtectedCluster,
  run: Run,
  { notes, ...options }: { patienceSeconds?: number; notes: readonly string[] },
): Promise<{ outcome: Outcome; error: PgproofError | null }> {
  try {
    const found = await syncWal(cluster, run, options);
    const result = { ...found, notes: [...notes, ...found.notes] };
    const error = brokenObjective(cluster.name, result);
    return { outcome: error === null ? { status: 'SUCCESS', result } : failedBy(error, result), error };
  } catch (thrown) {
    const error = asPgproofError(run.signal.aborted ? run.signal.reason : thrown);
    return { outcome: failedBy(error), error };
  }
}

function brokenObjective(cluster: string, { repositories, target, objectives }: WalSyncResult): PgproofError | null {
  const all = repositories.filter((one) => isBroken(one, objectives.rpoSeconds));
  const broken = all.find(({ reached }) => !reached) ?? all[0];
  if (broken === undefined) return null;
  const { repository, frontier, behindSeconds, problem } = broken;
  const { after } = behindSeconds;
  const lost = after === null ? 'WAL does not arrive' : `${formatSeconds(after)} of work would be lost with the host`;
  const why = problem === null ? '' : `: ${problem.message}`;
  return new PgproofError(
    'objective-broken',
    `${lost} (repository '${repository}'; the objective is ${formatSeconds(objectives.rpoSeconds)})${why}`,
    {
      facts: {
        ...{ cluster, repository, objective: 'rpo', limitSeconds: objectives.rpoSeconds, seconds: after },
        ...{ frontier, target: target.lsn, timeline: target.timeline, why: problem?.code ?? null },
      },
      hint: `Where WAL stands: pgproof wal status ${cluster}. What keeps it: pgproof check ${cluster}`,
    },
  );
}
