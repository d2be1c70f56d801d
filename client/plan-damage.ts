import { throwIfAborted } from '../core/abort.ts';
import { asPgproofError } from '../core/errors.ts';
import type { Finding } from '../core/verified.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { parseWalKey } from '../repository/layout.ts';
import type { RestorePlan } from '../restore/record.ts';
import { newestVerifies } from './verified.ts';

/**
 * What the newest verify of each repository found wrong with what the plan needs. No reason not to plan: another repository may have it
 * whole, or it was healed since. Whoever reads it now need not learn it in the midst of the restore.
 */
export async function damageNotes(
  cluster: ProtectedCluster,
  plan: Pick<RestorePlan, 'backupId' | 'inventory'>,
  signal: AbortSignal,
): Promise<string[]> {
  const verifies = await newestVerifies(cluster, signal).catch(asPgproofError);
  throwIfAborted(signal);
  if (!Array.isArray(verifies)) return [`What the last verify has found is not known: ${verifies.message}.`];
  const isNeeded = neededBy(plan);
  return verifies.flatMap(({ repository, verify }) => {
    const found = (verify?.damage ?? []).filter(isNeeded);
    const [first] = found;
    if (first === undefined) return [];
    const more = found.length === 1 ? '' : ` and ${found.length - 1} more`;
    return [
      `Needed for this, and found ${first.kind} in repository '${repository}' by the verify of ${verify?.at}: ${first.object}${more}. The restore fails unless another repository has it whole. Other backups: pgproof list, --backup ID.`,
    ];
  });
}

function neededBy({ backupId, inventory }: Pick<RestorePlan, 'backupId' | 'inventory'>): (finding: Finding) => boolean {
  const segments = new Set(inventory.segments.map(({ name, tag }) => `${name}-${tag}`));
  return ({ object, affects }) => {
    const wal = parseWalKey(object);
    return affects.backups.includes(backupId) || (wal !== undefined && segments.has(`${wal.segment}-${wal.tag}`));
  };
}
