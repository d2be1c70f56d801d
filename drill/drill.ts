import { randomBytes } from 'node:crypto';
import { abortReason } from '../core/abort.ts';
import { asPgproofError, hasCode } from '../core/errors.ts';
import { type RunId, runId } from '../core/ids.ts';
import type { DrillResult } from '../core/report.ts';
import type { DrillRequest } from '../core/request.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { Held } from '../repository/held.ts';
import { Nearest } from '../repository/nearest.ts';
import { fallbackNotes } from '../restore/fallbacks.ts';
import { awaitShipped } from '../wal/await-shipping.ts';
import { inDrill } from './advice.ts';
import type { Attempt, Found } from './attempt.ts';
import { askEverything, ownChecks, unasked } from './checks.ts';
import { type DrillFolder, drillFolderAt, makeDrillFolder } from './folder.ts';
import { Phases } from './phases.ts';
import { archivedIn, type Prepared, prepareDrill } from './preflight.ts';
import { writeProbe } from './probe.ts';
import { restoreIntoSandbox, type Sandbox } from './sandbox.ts';
import { measureTargetError } from './target-error.ts';
import { tearDown } from './teardown.ts';
import { verdictOf } from './verdict.ts';

/**
 * Proves that the cluster can be restored, to a point chosen now: writes row A, a restore point and row B, waits until they
 * are archived, restores to the point in a sandbox of this host, and asks the restored server while it stands there.
 * Whatever ends it after it began is a verdict, not an error; nothing of it stays on the host.
 * @param id of the drill; its report has the same.
 * @param held gets what the drill holds: whoever calls renews it, and releases it once the report is there, because until then nobody
 * knows that the backup was proven.
 * @throws {PgproofError} what made it impossible to begin (`prepareDrill` says what); the signal's reason; `internal`.
 */
export async function runDrill(
  cluster: ProtectedCluster,
  { kind }: Pick<DrillRequest, 'kind'>,
  run: Run,
  id: RunId = runId(new Date(), 'drill', randomBytes(4).toString('hex')),
  held: Held = { holds: [], notes: [] },
): Promise<DrillResult> {
  const phases = new Phases(run);
  const prepared = await phases.time('preflight', () => prepareDrill(cluster, drillFolderAt(cluster, id), run));
  const found: Found = { checks: [prepared.catalogue], error: null };
  const copies = new Nearest(cluster.repositories);
  const folder = await makeDrillFolder(cluster, id);
  const notes = await prove(cluster, folder, prepared, { phases, run, found, copies, held });
  if (run.signal.aborted) throw abortReason(run.signal);
  if (hasCode(found.error, 'internal')) throw found.error;
  const told = { ...prepared, notes: [...prepared.notes, ...fallbackNotes(copies), ...held.notes, ...notes] };
  return { ...conclude(cluster, kind, told, phases, found), fallbacks: [...copies.fallbacks] };
}

/** Never rejects: what ends it early is found. @returns what a person should know of the teardown. */
async function prove(
  cluster: ProtectedCluster,
  folder: DrillFolder & { id: RunId },
  prepared: Prepared,
  attempt: Attempt,
): Promise<string[]> {
  const { phases, run, found } = attempt;
  let sandbox: Sandbox | null = null;
  try {
    const probe = await phases.time('probe', () => writeProbe(cluster, folder.id, run));
    const range = { timeline: prepared.timeline, start: probe.lsn, end: probe.endLsn };
    await phases.time('archive', () => awaitShipped(archivedIn(cluster), range, run, archiveDeadline(cluster)));
    found.target = `name:${probe.restorePoint}`;
    sandbox = await restoreIntoSandbox(cluster, folder, probe, attempt);
    found.reachedWal = { timeline: prepared.timeline, lsn: probe.endLsn };
    const { connection } = sandbox;
    await phases.time('checks', async () => {
      const answers = await askEverything(connection, probe, cluster.config.drills.checks, run.signal);
      found.checks.push(...answers);
      found.targetErrorSeconds = await measureTargetError(connection, probe, run.signal);
    });
  } catch (error) {
    found.error = inDrill(asPgproofError(error), cluster.name);
  }
  return phases.time('teardown', () => tearDown(cluster, folder, sandbox));
}

/** The archive is given twice what the objective promises, and never less than five minutes. */
function archiveDeadline({ config }: ProtectedCluster): Date {
  return new Date(Date.now() + Math.max(300, 2 * config.objectives.rpo) * 1000);
}

function conclude(
  { config }: ProtectedCluster,
  kind: DrillResult['kind'],
  { rpoSeconds, rpoReason, rpoMeasured, notes }: Prepared,
  phases: Phases,
  { error, checks, ...found }: Found,
): Omit<DrillResult, 'fallbacks'> {
  const names = [...ownChecks, ...config.drills.checks.map(({ name }) => name)];
  const answered = [...checks, ...unasked(checks, names, 'the drill ended before it could be asked')];
  return {
    ...verdictOf(answered, error),
    error: error?.toDocument() ?? null,
    kind,
    backupId: found.backupId ?? null,
    dump: null,
    target: found.target ?? null,
    reached: found.reached ?? null,
    reachedWal: found.reachedWal ?? null,
    phases: phases.list,
    rtoSeconds: found.rtoSeconds ?? null,
    rpoSeconds,
    rpoReason,
    targetErrorSeconds: found.targetErrorSeconds ?? null,
    checks: answered,
    rpoMeasured,
    objectives: { rpoSeconds: config.objectives.rpo, rtoSeconds: config.objectives.rto ?? null },
    notes,
  };
}
