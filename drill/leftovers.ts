import type { ProtectedCluster } from '../postgres/cluster.ts';
import { releaseEarlier, releaseHeld } from '../repository/held.ts';
import { heldFor, leftoverDrills, removeDrillFolder } from './folder.ts';
import { forgetPlansInto } from './plans.ts';

/**
 * Removes what killed drills left on this host: a server that still runs, the restored files, the frozen plan. What cannot
 * be removed is said too, and left for the next drill: it does not keep this one from proving something.
 * @returns sentences for the report.
 */
export async function cleanUpAfterKilled(cluster: ProtectedCluster): Promise<string[]> {
  const notes: string[] = [];
  for (const folder of await leftoverDrills(cluster)) {
    try {
      await releaseHeld(cluster, await forgetPlansInto(cluster, folder));
      await releaseEarlier(cluster, { operation: 'drill', reason: heldFor(folder.id) }, { holds: [], notes });
      const { stoppedPid } = await removeDrillFolder(folder);
      const server = stoppedPid === null ? '' : `, and its server (process ${stoppedPid}), which still ran,`;
      notes.push(`What the killed drill ${folder.id} had left${server} was removed.`);
    } catch (error) {
      notes.push(
        `What the killed drill ${folder.id} left in '${folder.root}' could not be removed: ${(error as Error).message}.`,
      );
    }
  }
  return notes;
}
