import { asPgproofError, type PgproofError } from '../core/errors.ts';
import { isRequired, writtenNames } from '../core/written.ts';
import { inRepository, type ProtectedCluster } from '../postgres/cluster.ts';
import type { Repository } from '../repository/repository.ts';
import { hasReached, secondsBehind, type Written } from './behind.ts';
import type { Frontier } from './frontier.ts';
import { readHead } from './head.ts';

/** What one repository that WAL is written to has. */
export type Look = {
  name: string;
  required: boolean;
  frontier: Frontier | null;
  seconds: number | null;
  /** Why it could not be asked; of one that is not required. */
  error: PgproofError | null;
};

/** @throws {PgproofError} why a required one cannot be asked; the signal's reason. */
export function lookEverywhere(
  cluster: ProtectedCluster,
  written: Written,
  now: string,
  signal: AbortSignal,
): Promise<Look[]> {
  return Promise.all(writtenNames(cluster.config).map((name) => lookAt(cluster, name, written, now, signal)));
}

/** @throws {PgproofError} as `lookEverywhere`. */
export async function lookAt(
  cluster: ProtectedCluster,
  name: string,
  written: Written,
  now: string,
  signal: AbortSignal,
): Promise<Look> {
  const required = isRequired(cluster.config, name);
  try {
    const { frontier } = await readHead(inRepository(cluster, opened(cluster, name)), { signal });
    const seconds = await secondsBehind(cluster, frontier, written, now);
    return { name, required, frontier, seconds, error: null };
  } catch (error) {
    if (required || signal.aborted) throw error;
    return { name, required, frontier: null, seconds: null, error: asPgproofError(error) };
  }
}

export function opened({ repositories, unavailable }: ProtectedCluster, name: string): Repository {
  const found = repositories.find((repository) => repository.name === name);
  if (found !== undefined) return found;
  throw unavailable.find((repository) => repository.name === name)?.error;
}

export const reaches = ({ frontier }: Look, target: Written): boolean =>
  frontier !== null && hasReached(frontier, target);
