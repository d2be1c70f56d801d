import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { stopLeftoverServer } from '../postgres/control.ts';
import { checkTargetFolder, markerName, refuseWithoutSpace } from './folder.ts';
import { type Marker, readMarker, writeMarker } from './marker.ts';
import { logFile } from './plans.ts';
import type { RestorePlan } from './record.ts';

/**
 * Makes the plan's folder ready: an empty one, or the one in which this plan's restore was interrupted. Only there anything
 * is removed, and only after the mark that says so was read.
 * @returns what is to be done next: `fetch` from the beginning, or `recover` where the files are whole already.
 * @throws {PgproofError} `target-folder` for anybody else's; `cluster-running`; `no-space`.
 */
export async function prepareFolder(cluster: ProtectedCluster, plan: RestorePlan): Promise<'fetch' | 'recover'> {
  const begun = await readMarker(plan.into);
  if (begun !== null && begun.planId !== plan.id) throw begunByOther(plan, begun);
  const path = await checkTargetFolder(cluster, plan.into, begun !== null);
  if (path !== plan.into) throw moved(plan, path);
  if (begun === null) {
    await refuseWithoutSpace(path, plan.requiredBytes);
    await mkdir(path, { recursive: true, mode: 0o700 });
    await chmod(path, 0o700);
  } else {
    await stopLeftoverServer(path);
    if (begun.phase === 'recovering') return 'recover';
    await emptyFolder(path);
  }
  await rm(logFile(cluster, plan.id), { force: true });
  await mark(path, plan, 'fetching');
  return 'fetch';
}

/** From here on an interrupted restore goes on with recovery; call it once the files are whole, verified, and durable. */
export async function markFetched(plan: RestorePlan): Promise<void> {
  await mark(plan.into, plan, 'recovering');
}

async function mark(path: string, plan: RestorePlan, phase: Marker['phase']): Promise<void> {
  await writeMarker(path, {
    formatVersion: 1,
    planId: plan.id,
    cluster: plan.cluster,
    beganAt: new Date().toISOString(),
    phase,
  });
}

/** All but the mark: without it, what is left would be somebody's. */
export async function emptyFolder(path: string): Promise<void> {
  for (const name of await readdir(path)) {
    if (name !== markerName) await rm(join(path, name), { recursive: true, force: true });
  }
}

/** Such plans are not kept (import/physical). */
const isOfOldFolder = ({ planId }: Marker): boolean => planId.includes('-import-');

function begunByOther(plan: RestorePlan, other: Marker): PgproofError {
  return new PgproofError('target-folder', `another restore, ${other.planId}, began in '${plan.into}'`, {
    facts: { path: plan.into, planId: other.planId, cluster: other.cluster, beganAt: other.beganAt },
    hint: `Finish it (${isOfOldFolder(other) ? 'the same `pgproof import restore` again' : `pgproof restore start ${other.cluster} ${other.planId}`}), or remove the folder, or restore into another one.`,
  });
}

function moved(plan: RestorePlan, path: string): PgproofError {
  return new PgproofError('target-folder', `'${plan.into}' leads to '${path}' now, which is not what was planned`, {
    facts: { path: plan.into, leadsTo: path },
    hint: 'Plan the restore again.',
  });
}
