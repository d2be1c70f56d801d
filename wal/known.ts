import { asPgproofError, type PgproofError } from '../core/errors.ts';
import { historyFileName } from '../core/segment.ts';
import { parseHistory } from '../core/timeline.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { listEras } from '../repository/eras.ts';
import { putHistory } from '../repository/wal.ts';
import { type Known, leaderOf } from './judge.ts';
import { askLeader, type Leader, readTimelineHistory, unnamedLeader } from './leader.ts';
import { eraUndeclared, type Lineage, readLineage } from './lineage.ts';
import type { SpoolFile } from './spool.ts';

type Options = {
  signal?: AbortSignal;
  /** What the spool holds: when the leader's own history file is among it, the one that was adopted is compared with it. */
  files?: readonly SpoolFile[];
};

/**
 * Gathers what files are judged by: the eras, the leader, and the leader's timeline, which is adopted here if it is new. Call
 * it after the spool was listed, never before: the leader's position must lie behind whatever it has archived. A leader that cannot
 * be asked is no error: what needs no answer from it is shipped all the same.
 * @throws {PgproofError} `era-undeclared`; whatever the repository throws.
 */
export async function gatherKnown(cluster: ProtectedCluster, options: Options = {}): Promise<Known> {
  const eras = (await listEras(cluster.repository, cluster.name, options)).toReversed();
  if (eras.length === 0) throw eraUndeclared(cluster.name);
  const lineages: Lineage[] = [];
  for (const era of eras) lineages.push(await readLineage(cluster, era, options));

  const asked = await ask(cluster, options);
  if ('problem' in asked) return { lineages, leader: undefined, problem: asked.problem };
  const [current, ...older] = lineages as [Lineage, ...Lineage[]];
  const unnamed = unnamedLeader(cluster, asked.leader, current.newest);
  if (unnamed !== undefined) return { lineages, leader: undefined, problem: unnamed };
  try {
    return {
      lineages: [await adopt(cluster, current, asked.leader, options), ...older],
      leader: asked.leader,
      problem: undefined,
    };
  } catch (error) {
    // A leader whose history cannot be had has not told us all: nothing is refused on its word.
    return { lineages, leader: undefined, problem: asPgproofError(error) };
  }
}

async function ask(
  cluster: ProtectedCluster,
  options: Options,
): Promise<{ leader: Leader } | { problem: PgproofError }> {
  try {
    return { leader: await askLeader(cluster, options) };
  } catch (error) {
    if (options.signal?.aborted) throw error;
    return { problem: asPgproofError(error) };
  }
}

/**
 * Adopts the timeline the leader is on: its history file, as the leader itself hands it out, goes into the repository
 * (invariant 4). What lies in the spool adopts nothing. Where another history of this timeline was adopted, both are there
 * from now on, which is a conflict.
 */
async function adopt(cluster: ProtectedCluster, lineage: Lineage, server: Leader, options: Options): Promise<Lineage> {
  const leader = leaderOf(lineage.era, server);
  const { timeline = 1 } = leader ?? {};
  const name = historyFileName(timeline);
  const isKnown = lineage.histories.has(timeline) && !options.files?.some((file) => file.name === name);
  if (timeline === 1 || isKnown || lineage.contested.has(timeline)) return lineage;
  const text = await readTimelineHistory(cluster, timeline, options);
  if (lineage.histories.get(timeline)?.text === text) return lineage;
  parseHistory(name, text);
  await putHistory(
    cluster.repository,
    cluster.walKeys,
    cluster.name,
    lineage.era.era,
    timeline,
    Buffer.from(text),
    options,
  );
  return readLineage(cluster, lineage.era, options);
}
