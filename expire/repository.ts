import { throwIfAborted } from '../core/abort.ts';
import { asPgproofError, type PgproofError } from '../core/errors.ts';
import { type ExpiredRepository, noDumps } from '../core/expired.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { listHolds, removeEndedHolds } from '../repository/holds.ts';
import { assertOwner } from '../repository/owner.ts';
import { readOthers } from './awaited.ts';
import { deleteBackups, finishDeletions } from './backups.ts';
import { deleteDumps, finishDumpDeletions, gatherDumps, planOfDumps } from './dumps.ts';
import { gatherFacts } from './facts.ts';
import { asPlanned, planBackups, shortened } from './plan.ts';
import { readProofs } from './proofs.ts';
import { deleteWal } from './wal.ts';

export type ExpireOptions = {
  /** What days, weeks, months and years are reckoned in. */
  timezone: string;
  /** A person says so: whatever is refused is done. */
  confirmed: boolean;
  /** Only say what would be done. */
  dryRun: boolean;
};

/**
 * Deletes what the rules keep no longer in the cluster's `repository`: backups and dumps first, then the WAL that nothing needs any more. Repeating
 * it goes on where it was interrupted. An attempt that fails is an answer, too.
 * @throws {PgproofError} the signal's reason; `internal`.
 */
export async function expireRepository(
  cluster: ProtectedCluster,
  options: ExpireOptions,
  run: Run,
): Promise<ExpiredRepository> {
  try {
    return await carryOut(cluster, options, run);
  } catch (error) {
    throwIfAborted(run.signal);
    const known = asPgproofError(error);
    if (known.code === 'internal') throw known;
    return failed(cluster.repository.name, known);
  }
}

async function carryOut(
  cluster: ProtectedCluster,
  { timezone, confirmed, dryRun }: ExpireOptions,
  run: Run,
): Promise<ExpiredRepository> {
  const { repository, name } = cluster;
  const { signal, progress } = run;
  progress({ phase: `plan ${repository.name}` });
  if (!dryRun) await assertOwner(repository, cluster, { signal });
  const held = await listHolds(repository, name, { signal });
  const known = { held, proofs: await readProofs(cluster, signal), others: await readOthers(cluster, signal) };
  const found = await gatherFacts(cluster, known, signal);
  const dumpsFound = await gatherDumps(cluster, known.proofs, found.facts, signal);
  const finished = dryRun ? [] : await finishDeletions(cluster, found, run);
  const finishedDumps = dryRun ? [] : await finishDumpDeletions(cluster, dumpsFound, run);
  const before = finished.length === 0 ? found : await gatherFacts(cluster, known, signal);
  const plan = planBackups(cluster, before, timezone);
  const dumpPlan = planOfDumps(cluster, dumpsFound, timezone);
  const planned = asPlanned(repository.name, before, plan, dumpPlan);
  const told = { ...planned, notes: [...finished, ...finishedDumps, ...planned.notes, ...known.others.notes] };
  if (dryRun) return told;
  if (planned.refusals.length > 0 && !confirmed) return shortened({ ...told, outcome: 'refused' });

  // Reading may have taken long, and `owner take` asks nobody to stop.
  await assertOwner(repository, cluster, { signal });
  const deleted = await deleteBackups(cluster, before, plan, run);
  const dumps = await deleteDumps(cluster, dumpPlan, run);
  // What stayed, and what came meanwhile, keeps its WAL: so all is read anew.
  const after = plan.delete.length === 0 ? before : await gatherFacts(cluster, known, signal);
  await assertOwner(repository, cluster, { signal });
  const wal = await deleteWal(cluster, after, plan, run);
  // Where there are no backups, dumps tell the time.
  const reference = new Date(Math.min(plan.reference, dumpPlan.reference));
  const endedHolds = await removeEndedHolds(repository, name, reference, { signal });
  return shortened({
    ...told,
    outcome: 'done',
    deleted,
    deletedBackups: deleted.filter(({ outcome }) => outcome === 'deleted').length,
    dumps: { ...told.dumps, ...dumps },
    wal,
    endedHolds: endedHolds.length,
  });
}

export function failed(repository: string, { code, message, hint }: PgproofError): ExpiredRepository {
  const nothing = {
    kept: [],
    keptBackups: 0,
    deleted: [],
    deletedBackups: 0,
    wal: [],
    dumps: noDumps,
    refusals: [],
    notes: [],
    endedHolds: 0,
  };
  return { repository, outcome: 'failed', ...nothing, error: { code, message, hint } };
}
