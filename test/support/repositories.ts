import type { ProtectedCluster } from '../../postgres/cluster.ts';
import type { Repository } from '../../repository/repository.ts';

type Repositories = Pick<ProtectedCluster, 'repository' | 'repositories' | 'written' | 'unavailable'>;

/** What a cluster with these repositories has, all of them open. @param written @defaultValue all */
export function withRepositories(
  repositories: readonly [Repository, ...Repository[]],
  written: readonly Repository[] = repositories,
): Repositories {
  return { repository: repositories[0], repositories, written, unavailable: [] };
}

/** The same cluster with its only repository's store replaced. */
export function withStore(cluster: ProtectedCluster, store: Repository['store']): ProtectedCluster {
  return { ...cluster, ...withRepositories([{ ...cluster.repository, store }]) };
}
