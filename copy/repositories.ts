import { PgproofError } from '../core/errors.ts';
import { isAway, type ProtectedCluster, repositoryCalled, type UnavailableRepository } from '../postgres/cluster.ts';
import type { Repository } from '../repository/repository.ts';

export type CopyRoute = { from: Repository; to: readonly (Repository | UnavailableRepository)[] };

/**
 * From where to where a cluster is copied: from the nearest of its repositories to all the others, unless they are named.
 * @throws {PgproofError} `repository-unknown` for one that the cluster's config does not name, or where there is no other; why
 * the source cannot be opened.
 */
export function copyRoute(cluster: ProtectedCluster, wanted: { from: string | null; to: string | null }): CopyRoute {
  const { name, config, repositories } = cluster;
  const find = (repository: string) => repositoryCalled(cluster, repository);
  const from = wanted.from === null ? (repositories[0] as Repository) : find(wanted.from);
  if (isAway(from)) throw from.error;
  const to =
    wanted.to === null ? config.repositories.filter((other) => other !== from.name).map(find) : [find(wanted.to)];
  if (to.some((target) => target.name === from.name)) throw itself(from.name);
  if (to.length > 0) return { from, to };
  throw new PgproofError('repository-unknown', `cluster '${name}' has no second repository to copy to`, {
    facts: { cluster: name, repositories: config.repositories },
    hint: `Add one to repositories, and its name to clusters.${name}.repositories; then run pgproof init ${name}, and start the worker anew.`,
  });
}

function itself(repository: string): PgproofError {
  return new PgproofError('usage', `'${repository}' is both where to copy from and where to copy to`, {
    facts: { repository },
  });
}
