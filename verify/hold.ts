import { hasCode } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type Needs, placeHold, releaseHold } from '../repository/holds.ts';

/** No backup takes longer to be unpacked, and no dump to be read. */
const seconds = 2 * 86_400;

/**
 * Holds a backup or a dump while `use` reads it, where this host may hold anything. Otherwise a deletion in the meantime would look
 * like damage.
 * @throws {PgproofError} `backup-deleted`
 */
export async function holdingWhile<T>(
  { repository, name, host }: ProtectedCluster,
  needs: Needs,
  { signal }: Run,
  use: () => Promise<T>,
): Promise<T> {
  const order = { cluster: name, operation: 'verify', by: host, reason: null, seconds, ...needs } as const;
  const hold = await placeHold(repository, order, { signal }).catch((error: unknown) => {
    if (hasCode(error, 'store-denied')) return null;
    throw error;
  });
  try {
    return await use();
  } finally {
    if (hold !== null) await releaseHold(repository, hold);
  }
}
