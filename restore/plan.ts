import { randomBytes } from 'node:crypto';
import { PgproofError } from '../core/errors.ts';
import { runId } from '../core/ids.ts';
import type { Run } from '../core/run.ts';
import { formatTarget, type RecoveryTarget } from '../core/target.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type Held, holdIds } from '../repository/held.ts';
import { Nearest } from '../repository/nearest.ts';
import { segmentsUpTo } from '../wal/inventory.ts';
import type { Archive } from './archive.ts';
import { fallbackNotes } from './fallbacks.ts';
import { checkTargetFolder, refuseWithoutSpace } from './folder.ts';
import { holding } from './hold.ts';
import { savePlan } from './plans.ts';
import type { RestorePlan } from './record.ts';
import { selectBackups } from './select.ts';
import { findStop, type Stop } from './stop.ts';
import { placeCreated, placeTablespaces } from './tablespaces.ts';
import { refuseLongSocket, workFolder } from './work.ts';

export { loadPlan } from './plans.ts';

export type RestoreRequest = {
  target: RecoveryTarget;
  /** The data directory to be: absolute, empty or absent. */
  into: string;
  /** Id of a backup, or the beginning of one. Otherwise the newest that ends before the target. */
  backup?: string;
};

/**
 * Decides a restore in every detail and keeps it as a frozen plan. Nothing is written but the plan, and a hold in each
 * repository, which keeps what it needs for a week; whatever can be known to
 * fail is refused here: the target, the key, the tools, the folder, the space, tablespaces outside of the target.
 * @param drill of what this is the plan: what is held for it comes into `held`, for the drill to renew and release.
 * @throws {PgproofError} `target-unreachable` with the nearest targets that work; `tablespace-outside`, `target-folder`,
 * `cluster-running`, `no-space`, `tool-missing`, `key-missing`, `wal-conflict`, `wal-unreadable`, `root-refused`, …
 */
export async function planRestore(
  cluster: ProtectedCluster,
  request: RestoreRequest,
  run: Run,
  drill?: { reason: string; held: Held },
): Promise<RestorePlan> {
  refuseShutdown(request.target);
  const into = await checkTargetFolder(cluster, request.into);
  const whom = drill ? ({ operation: 'drill', reason: drill.reason } as const) : planned;
  const { plan, held } = await holding(cluster, whom, run, (now) => planHeld(cluster, { ...request, into }, now, run));
  drill?.held.holds.push(...held.holds);
  return plan;
}

const planned = { operation: 'plan', reason: null } as const;

async function planHeld(
  cluster: ProtectedCluster,
  request: RestoreRequest,
  held: Held,
  run: Run,
): Promise<RestorePlan> {
  const copies = new Nearest(cluster.repositories);
  const selected = await selectBackups(cluster, copies, request.target, request.backup ?? null, run);
  const { archive, candidates, notes } = selected;
  const stop = await findStop(archive, candidates, request.target, run);
  const plan = assemble(archive, stop, request, held, [...notes, ...fallbackNotes(copies), ...held.notes]);
  refuseLongSocket(workFolder(cluster, plan));
  await refuseWithoutSpace(plan.into, plan.requiredBytes);
  await savePlan(cluster, plan);
  return plan;
}

/** A folder left in recovery could only be started by somebody who has the archive at hand, and would then promote anywhere. */
function refuseShutdown(target: RecoveryTarget): void {
  if (target.action !== 'shutdown') return;
  throw new PgproofError('target-invalid', 'a restore ends promoted and stopped, it cannot stop in recovery', {
    facts: { target: formatTarget(target), action: target.action },
  });
}

/** The plan as a document; nothing is kept. @throws {PgproofError} `tablespace-outside` */
export function assemble(
  archive: Archive,
  stop: Stop,
  { target, into }: RestoreRequest,
  held: Held,
  notes: readonly string[],
): RestorePlan {
  const { cluster, era } = archive;
  const { backup } = stop;
  const segments = segmentsUpTo(stop.coverage, stop.neededTo, era.segmentBytes);
  const tablespaces = placeTablespaces(backup, into);
  const created = placeCreated(stop.survey, backup, into, era);
  const moved = [
    ...tablespaces.map(({ from, to }) => `The tablespace of '${from}' will be in '${to}'.`),
    ...created.map(({ from, to }) => `The tablespace of '${from}', created after the backup, will be in '${to}'.`),
  ];
  return {
    formatVersion: 1,
    id: runId(new Date(), 'restore', randomBytes(4).toString('hex')),
    createdAt: new Date().toISOString(),
    cluster: cluster.name,
    repositoryId: cluster.repository.id,
    repositoryIds: cluster.repositories.map(({ id }) => id),
    target,
    recovery: { ...stop.recovery, timeline: archive.timeline },
    expected: stop.expected,
    into,
    backupId: backup.id,
    era: era.era,
    major: era.major,
    inventory: { era: era.era, segmentBytes: era.segmentBytes, segments, histories: archive.histories },
    tablespaces,
    created,
    minimums: stop.survey.minimums,
    requiredBytes: requiredBytes(stop, segments.length * era.segmentBytes),
    holds: holdIds(held),
    notes: [...notes, ...stop.notes, ...moved],
  };
}

/** Replay removes segments behind its restart points, so that pg_wal stays about this large. */
const walAtMostBytes = 2 * 1024 ** 3;

function requiredBytes({ backup }: Stop, walBytes: number): number {
  const parts = backup.tablespaces.flatMap((tablespace) => tablespace.parts);
  return parts.reduce((sum, { plainBytes }) => sum + plainBytes, 0) + Math.min(walBytes, walAtMostBytes);
}
