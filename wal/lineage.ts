import { PgproofError } from '../core/errors.ts';
import { historyFileName, type TimelineId } from '../core/segment.ts';
import { type HistoryEntry, pathTo, type TimelinePath } from '../core/timeline.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { currentEra } from '../repository/eras.ts';
import type { EraRecord } from '../repository/record.ts';
import { listHistoryTags, readHistory } from '../repository/wal.ts';

type Options = { signal?: AbortSignal };

export type AdoptedHistory = { text: string; entries: readonly HistoryEntry[] };

/** The timelines of an era that are ours. */
export type Lineage = {
  era: EraRecord;
  histories: ReadonlyMap<TimelineId, AdoptedHistory>;
  /** Every adopted timeline: the era's, those with a history file in the repository, and the ancestors of either. */
  adopted: ReadonlySet<TimelineId>;
  /** The newest adopted timeline: PostgreSQL only ever goes up. */
  newest: TimelineId;
  /** Timelines with two history files in the repository: nothing of them moves until a person has discarded one. */
  contested: ReadonlySet<TimelineId>;
};

export function lineageOf(
  era: EraRecord,
  histories: ReadonlyMap<TimelineId, AdoptedHistory>,
  contested: ReadonlySet<TimelineId> = new Set(),
): Lineage {
  const ancestors = [...histories.values()].flatMap(({ entries }) => entries.map(({ timeline }) => timeline));
  const newest = Math.max(era.timeline, ...histories.keys());
  return { era, histories, adopted: new Set([era.timeline, ...histories.keys(), ...ancestors]), newest, contested };
}

/** The lineage as the repository has it; a conflict on one timeline leaves the others to go on. */
export async function readLineage(
  { repository, walKeys, name }: Pick<ProtectedCluster, 'repository' | 'walKeys' | 'name'>,
  era: EraRecord,
  options: Options = {},
): Promise<Lineage> {
  const histories = new Map<TimelineId, AdoptedHistory>();
  const contested = new Set<TimelineId>();
  for (const [timeline, tags] of await listHistoryTags(repository, name, era.era, options)) {
    const [tag, ...others] = tags as [string, ...string[]];
    if (others.length > 0) contested.add(timeline);
    else histories.set(timeline, await readHistory(repository, walKeys, name, era.era, timeline, tag, options));
  }
  return lineageOf(era, histories, contested);
}

/** @throws {PgproofError} `era-undeclared`; `wal-conflict` while a timeline is contested: then nobody knows which is the newest. */
export async function currentLineage(
  cluster: Pick<ProtectedCluster, 'repository' | 'walKeys' | 'name'>,
  options: Options = {},
): Promise<Lineage> {
  const era = await currentEra(cluster.repository, cluster.name, options);
  if (era === undefined) throw eraUndeclared(cluster.name);
  const lineage = await readLineage(cluster, era, options);
  const [contested] = lineage.contested;
  if (contested === undefined) return lineage;
  throw contestedError(contested);
}

export function contestedError(timeline: TimelineId): PgproofError {
  return new PgproofError('wal-conflict', `timeline ${timeline} has two different history files in the repository`, {
    facts: { timeline, file: historyFileName(timeline) },
    hint: 'Two servers took the same timeline. Look with `pgproof wal quarantine list`, keep one with `… discard`.',
  });
}

/**
 * The path of WAL that leads to the newest timeline.
 * @throws {PgproofError} `timeline-not-adopted` while the era's own timeline is above 1 and its history file is not there yet.
 */
export function currentPath({ newest, histories }: Lineage): TimelinePath {
  return pathTo(newest, new Map([...histories].map(([timeline, { entries }]) => [timeline, entries])));
}

export function eraUndeclared(cluster: string): PgproofError {
  return new PgproofError('era-undeclared', `no era of cluster '${cluster}' is declared in the repository`, {
    facts: { cluster },
    hint: `Run \`pgproof era new ${cluster}\` once the configured server is the right one. Until then WAL stays in the spool.`,
  });
}
