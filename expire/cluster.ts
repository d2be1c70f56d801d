import { isErrorCode, PgproofError } from '../core/errors.ts';
import type { ExpireResult } from '../core/expired.ts';
import type { Run } from '../core/run.ts';
import { inRepository, type ProtectedCluster, repositoryCalled } from '../postgres/cluster.ts';
import { type ExpireOptions, expireRepository, failed } from './repository.ts';

/**
 * Expires a cluster in one or all of its repositories, each planned alone by its own rules. One that is away holds up none behind it.
 * @param only name of the only repository.
 * @throws {PgproofError} `repository-unknown`; the signal's reason.
 */
export async function expireCluster(
  cluster: ProtectedCluster,
  only: string | null,
  options: ExpireOptions,
  run: Run,
): Promise<ExpireResult> {
  if (only !== null) repositoryCalled(cluster, only);
  const isAsked = ({ name }: { name: string }) => only === null || name === only;
  const result: ExpireResult = { confirmed: options.confirmed, repositories: [] };
  for (const repository of cluster.repositories.filter(isAsked))
    result.repositories.push(await expireRepository(inRepository(cluster, repository), options, run));
  for (const { name, error } of cluster.unavailable.filter(isAsked)) result.repositories.push(failed(name, error));
  return result;
}

/** Why an expire is not done; undefined when it is. */
export function expireError(cluster: string, { repositories }: ExpireResult): PgproofError | undefined {
  const broken = repositories.find(({ error }) => error !== null);
  if (broken?.error != null) {
    const { code, message, hint } = broken.error;
    return new PgproofError(
      isErrorCode(code) ? code : 'internal',
      `expire of ${cluster} in ${broken.repository} failed: ${message}`,
      { facts: { cluster, repository: broken.repository }, ...(hint === null ? {} : { hint }) },
    );
  }
  const refused = repositories.filter(({ outcome }) => outcome === 'refused');
  if (refused.length === 0) return undefined;
  const why = refused.map(({ repository, refusals }) => `in ${repository}: ${refusals.join('; ')}`).join('; ');
  // Whoever looked at one repository does not confirm for the others.
  const again = `pgproof expire ${cluster}${refused.length === 1 ? ` --repository ${refused[0]?.repository}` : ''}`;
  return new PgproofError('expire-refused', `nothing of ${cluster} was deleted ${why}`, {
    facts: { cluster, repositories: refused.map(({ repository }) => repository) },
    hint: `Look at it with \`${again} --dry-run\`; if it is right: \`${again} --yes\`.`,
  });
}
