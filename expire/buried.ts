import type { ExpiredRepository } from '../core/expired.ts';
import { formatBytes } from '../core/format.ts';
import type { Buried } from '../repository/delete.ts';

type Deleted = ExpiredRepository['deleted'][number];

/* What became of deletions, in words: of backups and dumps alike. */

export function told(buried: Buried | undefined): Pick<Deleted, 'outcome' | 'detail' | 'bytes'> {
  if (buried === undefined) return { outcome: 'stayed', detail: 'it was not asked for', bytes: 0 };
  if (buried.outcome === 'deleted')
    return {
      outcome: 'deleted',
      detail: `${buried.objects} objects, ${formatBytes(buried.bytes)}`,
      bytes: buried.bytes,
    };
  if (buried.outcome === 'retained') return { outcome: 'retained', detail: buried.detail, bytes: 0 };
  const by = buried.outcome === 'held' ? buried.holds.map(({ id }) => `hold ${id}`) : buried.by;
  return { outcome: 'stayed', detail: `needed by ${by.join(', ')}`, bytes: 0 };
}

/** @param what the backup or the dump, with its id. */
export function finishedText(what: string, buried: Buried): string {
  const { outcome, detail } = told(buried);
  const became = outcome === 'deleted' ? 'was ended' : `goes on later: ${detail}`;
  return `The deletion of ${what}, which had been interrupted, ${became}.`;
}

/** @param folder where its tombstones lie. */
export const provenMeanwhile = (what: string, drill: string, folder: string): string =>
  `The deletion of ${what} had been interrupted, and drill ${drill} has proven it: it is not ended, and stays out of the list. When a newer one is proven, it goes. To have it back: when no pgproof works on the cluster, remove its .deleted.json files below ${folder}, and run verify.`;
