import { throwIfAborted } from '../core/abort.ts';
import { type DumpSubject, subjectName } from '../core/dump-run.ts';
import { asPgproofError } from '../core/errors.ts';
import type { FiledReport } from '../core/report.ts';
import type { DumpRequest } from '../core/request.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { dumpOrder, dumpOutcome, type Exported } from '../report/dump.ts';
import { reported } from '../report/file.ts';
import type { ReportOrder } from '../report/report.ts';
import type { DumpRecord } from '../repository/record.ts';
import { type DumpTarget, dumpTargets, takeDump } from './dump.ts';
import { exportDump, isAlone } from './export/export.ts';

export type DumpOrder = Pick<ReportOrder, 'workflow' | 'requestedBy' | 'reason' | 'startedAt'> & {
  request: Pick<DumpRequest, 'kind' | 'tier' | 'databases'> & Partial<DumpRequest>;
  /** What a person should know of the run that it is part of. */
  notes?: readonly string[];
};

/**
 * Takes one dump, writes it out as ordinary files where the configuration says so, and files its report.
 * @throws {PgproofError} why there is no dump; the fact `report` is the key of the report that says so. That it could not be
 * written out is a finding: the dump is whole.
 */
export function reportedDump(
  cluster: ProtectedCluster,
  subject: DumpSubject,
  { request, notes = [], ...asked }: DumpOrder,
  { signal, progress }: Run,
): Promise<FiledReport> {
  const run: Run = { signal, progress: (details) => progress({ note: subjectName(subject), ...details }) };
  const order: ReportOrder = { operation: 'dump', ...asked, ...dumpOrder(cluster, subject) };
  return reported(cluster, order, async (started) => {
    const { record, copies } = await unlessAborted(run, async () =>
      takeDump(cluster, await targetOf(cluster, subject, request, run), run),
    );
    const { exported, findings } = await exportedByConfig(cluster, record, run);
    const places = { repositories: copies.repositories, dropped: [...copies.dropped] };
    return dumpOutcome(cluster, record, started, places, exported, { findings, notes: [...notes] });
  });
}

/** Asks anew: between plan and dump there may be hours, in which the database was dropped or a role lost its rights. */
async function targetOf(
  cluster: ProtectedCluster,
  { database }: DumpSubject,
  request: DumpOrder['request'],
  run: Run,
): Promise<DumpTarget> {
  const databases = database === null ? null : [database];
  const [target] = await dumpTargets(cluster, { ...request, databases }, run);
  return target as DumpTarget;
}

/** A step that was told to stop ends by that, whatever it threw then. */
async function unlessAborted<Result>({ signal }: Run, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throwIfAborted(signal);
    throw error;
  }
}

async function exportedByConfig(
  cluster: ProtectedCluster,
  record: DumpRecord,
  run: Run,
): Promise<{ exported: Exported | null; findings: string[] }> {
  const wanted = cluster.config.dumps.export;
  if (wanted === undefined) return { exported: null, findings: [] };
  try {
    const order = { ...wanted, alone: isAlone(cluster.config, record) };
    return { exported: await exportDump(cluster, record, order, run), findings: [] };
  } catch (error) {
    const { message, code } = asPgproofError(error);
    return { exported: null, findings: [`it was not written to '${wanted.folder}': ${message} [${code}]`] };
  }
}
