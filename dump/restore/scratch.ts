import { randomBytes } from 'node:crypto';
import { kindOfId, runId } from '../../core/ids.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { forgetAttempt, knownAttempts, withAttempt } from '../attempt.ts';

const kind = 'restore';

/**
 * A private folder of this host for the time of `use`; whatever is in it is gone afterwards. It holds plain data: what killed
 * ones left is cleared away first.
 */
export async function inScratch<T>(cluster: ProtectedCluster, use: (folder: string) => Promise<T>): Promise<T> {
  const { dead } = await knownAttempts(cluster);
  for (const id of dead) if (kindOfId(id) === kind) await forgetAttempt(cluster, id);
  const id = runId(new Date(), kind, randomBytes(4).toString('hex'));
  return withAttempt(cluster, id, ({ folder }) => use(folder));
}
