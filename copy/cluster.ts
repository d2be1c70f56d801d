import { isErrorCode, PgproofError } from '../core/errors.ts';
import type { CopyResult, CopyTarget } from '../core/report.ts';
import type { Run } from '../core/run.ts';
import { isAway, type ProtectedCluster } from '../postgres/cluster.ts';
import { type CopyOptions, copyRepository } from './copy.ts';
import { copyRoute } from './repositories.ts';

/**
 * Copies a cluster to one or all of its other repositories, one after the other. Each has an attempt of its own: one that is
 * away holds up none behind it.
 * @throws {PgproofError} what makes every attempt impossible; the signal's reason.
 */
export async function copyCluster(
  cluster: ProtectedCluster,
  wanted: { from: string | null; to: string | null },
  run: Run,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const { from, to } = copyRoute(cluster, wanted);
  const { name } = cluster;
  const targets: CopyTarget[] = [];
  for (const target of to) {
    if (isAway(target)) targets.push(awayTarget(target));
    else targets.push(await copyRepository({ ...cluster, from, to: target, cluster: name }, run, options));
  }
  return { from: from.name, targets };
}

function awayTarget({ name, error }: { name: string; error: PgproofError }): CopyTarget {
  const none = { objects: 0, bytes: 0 };
  const { code, message, hint } = error;
  const moved = { seconds: 0, copied: none, skipped: none, backups: [], dumps: [] };
  const refused = { refused: [], refusedObjects: 0, notes: [] };
  return { to: name, outcome: 'failed', ...moved, ...refused, lag: null, error: { code, message, hint } };
}

/** Why a copy is not a complete one; undefined when it is. A single target that failed fails with its own error. */
export function copyError(cluster: string, { targets }: CopyResult): PgproofError | undefined {
  const incomplete = targets.filter(({ outcome }) => outcome !== 'complete');
  const [only] = targets;
  if (incomplete.length === 0) return undefined;
  if (targets.length === 1 && only?.error != null) {
    const { code, message, hint } = only.error;
    const more = hint === null ? {} : { hint };
    return new PgproofError(
      isErrorCode(code) ? code : 'internal',
      `the copy of ${cluster} to ${only.to} failed: ${message}`,
      more,
    );
  }
  const isDamage = incomplete.every(
    ({ error, refused }) => error === null && refused.some(({ permanent }) => permanent),
  );
  return new PgproofError(
    isDamage ? 'damage-found' : 'copy-incomplete',
    `the copy of ${cluster} is not complete: ${incomplete.map(describe).join('; ')}`,
    {
      facts: { cluster, targets: incomplete.map(({ to, outcome }) => `${to}: ${outcome}`) },
      hint: isDamage
        ? `All else was copied. The report names each object; \`pgproof verify ${cluster} --repair\` heals what another repository has whole.`
        : 'All else was copied, and the next copy goes on from there. The report names each object.',
    },
  );
}

function describe({ to, error, refused, refusedObjects }: CopyTarget): string {
  if (error !== null) return `${to} failed: ${error.message}`;
  const count = refusedObjects === 1 ? 'one object was not copied' : `${refusedObjects} objects were not copied`;
  return `${count} to ${to}: ${refused[0]?.message}${refusedObjects === 1 ? '' : ', …'}`;
}
