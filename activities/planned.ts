import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import type { PlannedFile } from '../dump/restore/plan-record.ts';
import { loadDumpPlan } from '../dump/restore/plans.ts';
import type { DumpSource } from '../dump/restore/source.ts';
import { startDumpRestore } from '../dump/restore/start.ts';
import { startWholeRestore } from '../dump/restore/whole/start.ts';
import type { Host } from '../host/host.ts';
import { clusterConfig } from '../host/lookup.ts';
import { fileDumpSource } from '../import/dump-source.ts';
import type { SourceOptions } from '../import/source.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { Outcome, ReportOrder } from '../report/report.ts';
import { readPassphraseAt } from '../repository/passphrase.ts';
import { startRestore } from '../restore/start.ts';

/** A frozen plan of this host, of whatever kind: what its report says of it, and how it is carried out. */
export type Planned = {
  order: Pick<ReportOrder, 'database' | 'mode' | 'tool'>;
  carryOut(run: Run): Promise<Outcome & { status: 'SUCCESS' }>;
};

/** @throws {PgproofError} `plan-invalid`, `cluster-unknown`, … A plan that is missing is said when it is carried out. */
export async function plannedRestore(host: Host, cluster: ProtectedCluster, planId: string): Promise<Planned> {
  const plan = await loadDumpPlan(cluster, planId);
  if (plan === null) {
    return {
      order: {},
      carryOut: async (run) => ({ status: 'SUCCESS', result: await startRestore(cluster, planId, run) }),
    };
  }
  const server = { name: plan.server, config: clusterConfig(host, plan.server) };
  const options = { openFile: openPlannedFile };
  if (plan.kind === 'whole') {
    return {
      order: { mode: 'dump', tool: 'psql' },
      carryOut: async (run) => ({
        status: 'SUCCESS',
        result: await startWholeRestore(cluster, plan, server, run, options),
      }),
    };
  }
  const tool = plan.source.format === 'plain' ? 'psql' : 'pg_restore';
  return {
    order: { database: plan.database, mode: 'dump', tool },
    carryOut: async (run) => ({
      status: 'SUCCESS',
      result: await startDumpRestore(cluster, plan, server, run, options),
    }),
  };
}

/** @throws {PgproofError} `usage` where there is no passphrase, and what `fileDumpSource` throws. */
export async function openPlannedFile({ path, passphrase, cipher, seen }: PlannedFile): Promise<DumpSource> {
  const source = await fileDumpSource(path, {
    passphrase: passphrase === null ? null : await readPassphraseAt(passphrase),
    cipher: cipher as Exclude<SourceOptions['cipher'], undefined>,
  });
  const now = await seenAt(path);
  if (seen === undefined || (seen.bytes === now.bytes && seen.modifiedMs === now.modifiedMs)) return source;
  throw new PgproofError('plan-invalid', `'${path}' is another file than the one that was planned with`, {
    facts: { path },
    hint: 'Plan the restore again.',
  });
}

/** Tells a file from another one that takes its place. */
export async function seenAt(path: string): Promise<NonNullable<PlannedFile['seen']>> {
  const found = await stat(path);
  const { size, mtimeMs } = found.isDirectory() ? await stat(join(path, 'toc.dat')) : found;
  return { bytes: size, modifiedMs: mtimeMs };
}
