import { throwIfAborted } from '../core/abort.ts';
import type { Config } from '../core/config.ts';
import { asPgproofError, type ErrorDocument, PgproofError } from '../core/errors.ts';
import { nearest } from '../host/nearest.ts';
import { openInTime } from '../host/repositories.ts';
import type { AwayRepositories, ReportSource } from '../repository/report-entries.ts';
import { openRepository, type Repository } from '../repository/repository.ts';

/** Where reports are read from. Any machine with the configuration may: no host of the fleet and no key is needed. */
export type Sources = {
  open: ReportSource[];
  away: AwayRepositories;
  /** @param repository one that is open. */
  locationOf(repository: string): string;
  /** What a person must know of what was not asked: repositories that are away, and clusters of which none answered. */
  told(): { away: Away[]; unknown: string[] };
};

export type Away = { repository: string; clusters: string[]; error: ErrorDocument };

/** @throws {PgproofError} `cluster-unknown`; what is wrong with a repository, when none can be opened. */
export async function openSources(config: Config, wanted: readonly string[], signal: AbortSignal): Promise<Sources> {
  const clusters = wanted.length === 0 ? Object.keys(config.clusters) : [...new Set(wanted)];
  for (const cluster of clusters) if (!Object.hasOwn(config.clusters, cluster)) throw unknownCluster(cluster, config);
  const namesOf = (cluster: string): readonly string[] => config.clusters[cluster]?.repositories ?? [];
  const names = [...new Set(clusters.flatMap(namesOf))];
  const away: AwayRepositories = new Map();
  const opened = new Map<string, Repository>();
  const open = (name: string): Promise<Repository | PgproofError> =>
    openInTime(name, (_, options) => openRepository(name, config.repositories[name]!, options), { signal }).catch(
      asPgproofError,
    );
  const found = await Promise.all(names.map(open));
  throwIfAborted(signal);
  for (const [index, one] of found.entries())
    if (one instanceof PgproofError) away.set(names[index] as string, one);
    else opened.set(one.name, one);
  if (opened.size === 0 && names.length > 0) throw away.values().next().value;
  return {
    open: clusters.map((cluster) => ({
      cluster,
      repositories: namesOf(cluster).flatMap((name) => opened.get(name) ?? []),
    })),
    away,
    locationOf: (repository) => opened.get(repository)?.location as string,
    told: () => ({
      away: [...away].map(([repository, error]) => ({
        repository,
        clusters: clusters.filter((cluster) => namesOf(cluster).includes(repository)),
        error: error.toDocument(),
      })),
      unknown: clusters.filter((cluster) => namesOf(cluster).every((name) => away.has(name))),
    }),
  };
}

function unknownCluster(cluster: string, { clusters }: Config): PgproofError {
  const known = Object.keys(clusters);
  const meant = nearest(cluster, known);
  return new PgproofError(
    'cluster-unknown',
    `cluster '${cluster}' is not in the configuration (clusters: ${known.join(', ') || 'none'})`,
    { facts: { cluster, known }, hint: meant === undefined ? 'Give one of these names.' : `Did you mean '${meant}'?` },
  );
}
