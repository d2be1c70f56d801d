import type { ProtectedCluster } from '../postgres/cluster.ts';
import { brokenObjectives } from '../watch/watch.ts';
import { type Finding, ok, problem } from './finding.ts';

/** The same that the host's worker alarms about by itself. Stores that cannot be asked are found by the checks of stores. */
export async function checkObjectives(cluster: ProtectedCluster, signal: AbortSignal): Promise<Finding[]> {
  const broken = (await brokenObjectives(cluster, { signal })).filter(({ code }) => code === 'objective-broken');
  if (broken.length === 0) return [ok('objectives', 'nothing is older than the objectives and schedules allow')];
  return broken.map(({ message, hint, facts }) => problem(`objective-${facts.objective}`, message, hint));
}
