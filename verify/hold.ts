import { hasCode } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type Held, heldSeconds, keepingHeld } from '../repository/held.ts';
import { type Needs, placeHold, releaseHold } from '../repository/holds.ts';

/**
 * Holds a backup or a dump while `use` reads it, where this host may hold anything. Otherwise a deletion in the meantime would look
 * like damage.
 * @param notes gets what could not be held to the end.
 * @throws {PgproofError} `backup-deleted`
 */
export async function holdingWhile<T>(
  { repository, name, host }: ProtectedCluster,
  needs: Needs,
  { signal }: Run,
  notes: string[],
  use: () => Promise<T>,
): Promise<T> {
  const order = { cluster: name, operation: 'verify', by: host, reason: null, seconds: heldSeconds, ...needs } as const;
  const hold = await placeHold(repository, order, { signal }).catch((error: unknown) => {
    if (hasCode(error, 'store-denied')) return null;
    throw error;
  });
  const held: Held = { holds: hold === null ? [] : [{ repository, hold }], notes };
  try {
    return await keepingHeld(held, use);
  } finally {
    for (const each of held.holds) await releaseHold(repository, each.hold);
  }
}
