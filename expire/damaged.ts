import { throwIfAborted } from '../core/abort.ts';
import type { Lsn } from '../core/lsn.ts';
import type { BackupPlace } from '../core/retention/facts.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { readRecord } from '../repository/catalogue.ts';

/**
 * Where a damaged backup stands in the WAL: by its own record, where that is the least that is wrong with it, or by the one of another
 * repository. Null where nobody knows.
 */
export async function placeDamaged(
  { repository, repositories, keys, name }: ProtectedCluster,
  { era, id }: { era: string; id: string },
  signal: AbortSignal,
): Promise<BackupPlace | null> {
  const others = repositories.filter((other) => other.id !== repository.id);
  for (const from of [repository, ...others]) {
    try {
      const { timeline, startLsn, stopLsn, parent } = await readRecord(from, keys, name, era, id, { signal });
      return { timeline, startLsn: startLsn as Lsn, stopLsn: stopLsn as Lsn, parent };
    } catch {
      throwIfAborted(signal); // whatever is wrong with it there: nobody knows then, and the more stays
    }
  }
  return null;
}
