import { asPgproofError, type PgproofError } from '../core/errors.ts';
import type { FoundCluster } from '../postgres/cluster.ts';
import { rereadKeys } from '../repository/key-file.ts';

/**
 * The cluster with its WAL keys as their file has them now, for a loop that outlives a rotation. A file that is gone, or is no
 * rotation of these keys, is a problem to tell of and no reason to stop: the keys at hand go on.
 */
export async function withFreshKeys(
  cluster: FoundCluster,
): Promise<{ cluster: FoundCluster; problem: PgproofError | null }> {
  try {
    const walKeys = await rereadKeys(cluster.walKeys);
    return { cluster: walKeys === cluster.walKeys ? cluster : { ...cluster, walKeys }, problem: null };
  } catch (error) {
    return { cluster, problem: asPgproofError(error) };
  }
}
