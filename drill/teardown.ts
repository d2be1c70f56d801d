import type { RunId } from '../core/ids.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type DrillFolder, leaveDrillFolder, removeDrillFolder } from './folder.ts';
import { forgetPlansInto } from './plans.ts';
import { eraseMarkers } from './probe.ts';
import type { Sandbox } from './sandbox.ts';

/**
 * Takes everything of the drill away: server, plan, folder, the rows it wrote. Takes no signal: a cancelled drill is torn
 * down too. Each step is tried whatever became of the others; what could not be done is answered as sentences for the
 * report, and the next drill tries again.
 */
export async function tearDown(
  cluster: ProtectedCluster,
  folder: DrillFolder & { id: RunId },
  sandbox: Sandbox | null,
): Promise<string[]> {
  return doAll(folder, [
    ['stop its server', () => sandbox?.stop()],
    [`remove its plan from '${cluster.paths.plans}'`, () => forgetPlansInto(cluster, folder)],
    [`remove its folder '${folder.root}'`, () => removeDrillFolder(folder)],
    ['remove its rows from pgproof.drill_marker', () => eraseMarkers(cluster, folder.id)],
  ]);
}

/** The same for a drill of a dump, which wrote nothing into the cluster. */
export function tearDownScratch(folder: DrillFolder, server: Pick<Sandbox, 'stop'> | null): Promise<string[]> {
  return doAll(folder, [
    ['stop its server', () => server?.stop()],
    [`remove its folder '${folder.root}'`, () => removeDrillFolder(folder)],
  ]);
}

type Step = [string, () => Promise<unknown> | undefined];

async function doAll(folder: DrillFolder, steps: readonly Step[]): Promise<string[]> {
  const notes: string[] = [];
  for (const [what, step] of steps) {
    try {
      await step();
    } catch (error) {
      notes.push(`The drill could not ${what}: ${(error as Error).message}. The next drill will try again.`);
    }
  }
  leaveDrillFolder(folder);
  return notes;
}
