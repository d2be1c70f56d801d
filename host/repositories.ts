import { abortReason } from '../core/abort.ts';
import type { ClusterConfig } from '../core/config.ts';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import { writtenNames } from '../core/written.ts';
import type { ProtectedCluster, UnavailableRepository } from '../postgres/cluster.ts';
import { assertKeyFits } from '../repository/key-fit.ts';
import type { ClusterKeys } from '../repository/keys.ts';
import { openRepository, type Repository } from '../repository/repository.ts';
import { untilAborted } from '../storage/until-aborted.ts';
import type { Host } from './host.ts';

type Opened = Pick<ProtectedCluster, 'repositories' | 'written' | 'unavailable'>;

type Options = { signal?: AbortSignal };

/** @param patienceMs how long one request is tried, where the usual minutes are too long. */
export type OpenClusterOptions = Options & { patienceMs?: number };

/** One of several that takes longer is away: the others must not wait for it. */
const patienceSeconds = 30;

/**
 * Opens the repositories of a cluster, all at the same time; each must fit the keys. Those that cannot be opened are named,
 * and the others are used: who needs the missing one says so.
 * @throws {PgproofError} what is wrong with the nearest, when none can be opened and waiting does not mend that; `config-invalid`
 * when two are the same place.
 */
export async function openRepositories(
  host: Host,
  cluster: string,
  config: ClusterConfig,
  keys: ClusterKeys,
  options: OpenClusterOptions = {},
): Promise<Opened> {
  const { patienceMs } = options;
  const open = async (name: string, { signal }: Options): Promise<Repository> => {
    const repository = await openRepository(name, host.config.repositories[name]!, { signal, patienceMs });
    await assertKeyFits(repository, keys, cluster, { signal });
    return repository;
  };
  const isOnly = config.repositories.length === 1;
  const found = await Promise.all(
    config.repositories.map(async (name): Promise<Repository | UnavailableRepository> => {
      const openThis = (more: Options = {}) => (isOnly ? open(name, more) : openInTime(name, open, more));
      return openThis(options).catch((error: unknown) => {
        if (options.signal?.aborted) throw abortReason(options.signal);
        return { name, error: asPgproofError(error), open: openThis };
      });
    }),
  );
  const repositories = found.filter((one): one is Repository => !isUnavailable(one));
  const unavailable = found.filter(isUnavailable);
  refuseSamePlace(cluster, repositories);
  const [nearest] = repositories.length === 0 ? unavailable : [];
  if (nearest?.error.permanent) throw nearest.error;
  const names = writtenNames(config);
  return {
    repositories,
    written: repositories.filter(({ name }) => names.includes(name)),
    unavailable,
  };
}

const isUnavailable = (one: Repository | UnavailableRepository): one is UnavailableRepository => 'error' in one;

/** @throws {PgproofError} `store-unreachable` when it takes longer than that. */
export async function openInTime(
  name: string,
  open: (name: string, options: Options) => Promise<Repository>,
  { signal }: Options,
): Promise<Repository> {
  const limit = AbortSignal.timeout(patienceSeconds * 1000);
  const both = signal === undefined ? limit : AbortSignal.any([signal, limit]);
  try {
    return await untilAborted(both, () => open(name, { signal: both }));
  } catch (cause) {
    if (!limit.aborted || signal?.aborted) throw cause;
    throw new PgproofError('store-unreachable', `repository '${name}' did not answer within ${patienceSeconds} s`, {
      facts: { repository: name, timeoutSeconds: patienceSeconds },
      cause,
    });
  }
}

/** Two names of one place would count as two copies. */
function refuseSamePlace(cluster: string, repositories: readonly Repository[]): void {
  for (const [index, { name, location }] of repositories.entries()) {
    const twin = repositories.slice(0, index).find((other) => other.location === location);
    if (twin === undefined) continue;
    throw new PgproofError('config-invalid', `the repositories '${twin.name}' and '${name}' are the same place`, {
      facts: { cluster, repositories: [twin.name, name], location },
      hint: `Give each copy a place of its own, or take one of them out of clusters.${cluster}.repositories.`,
    });
  }
}
