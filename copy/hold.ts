import { asPgproofError, hasCode } from '../core/errors.ts';
import type { EraNeeds, Hold } from '../core/hold.ts';
import type { BackupEntry } from '../repository/catalogue.ts';
import { commitStates } from '../repository/commit-state.ts';
import { placeHold, releaseHold } from '../repository/holds.ts';
import type { EraRecord } from '../repository/record.ts';
import { backupShelf } from '../repository/shelf.ts';
import type { Copying } from './copying.ts';

/** A copy of many terabytes over a thin line takes days. */
const seconds = 14 * 86_400;

/**
 * Holds, in the source, the backups that the target lacks; their commit files keep their WAL. A copy that lacks none, as most of
 * those that run every few minutes, holds nothing.
 * @param use is given the catalogue without what is being deleted in this moment.
 */
export async function holdingMissing<T>(
  copying: Copying,
  eras: readonly EraRecord[],
  entries: readonly BackupEntry[],
  use: (entries: readonly BackupEntry[]) => Promise<T>,
): Promise<T> {
  const { from, tally } = copying;
  const { hold, left } = await holdMissing(copying, eras, entries);
  try {
    return await use(left);
  } finally {
    if (hold !== null)
      await releaseHold(from, hold).catch((error: unknown) => {
        tally.notes.push(
          `Hold ${hold.id} in ${from.name} was not released (${asPgproofError(error).message}): it ends by itself.`,
        );
      });
  }
}

async function holdMissing(
  copying: Copying,
  eras: readonly EraRecord[],
  entries: readonly BackupEntry[],
): Promise<{ hold: Hold | null; left: readonly BackupEntry[] }> {
  const { from, host, cluster, run, tally } = copying;
  const { signal } = run;
  for (let left = entries; ; ) {
    const needs = await missingAt(copying, eras, left);
    if (needs.length === 0) return { hold: null, left };
    try {
      const order = {
        cluster,
        operation: 'copy',
        by: host,
        reason: null,
        seconds,
        needs,
      } as const;
      return { hold: await placeHold(from, order, { signal }), left };
    } catch (error) {
      if (hasCode(error, 'store-denied')) {
        tally.notes.push(`Nothing is held in ${from.name} (${error.message}): \`expire\` may delete what is copied.`);
        return { hold: null, left };
      }
      if (!hasCode(error, 'backup-deleted')) throw error;
      const gone = error.facts.backups as readonly string[];
      tally.notes.push(`Deleted in ${from.name} just now, and not copied: ${gone.join(', ')}.`);
      left = left.filter(({ id }) => !gone.includes(id));
    }
  }
}

async function missingAt(
  { to, cluster, run }: Copying,
  eras: readonly EraRecord[],
  entries: readonly BackupEntry[],
): Promise<EraNeeds[]> {
  const needs: EraNeeds[] = [];
  for (const { era } of eras) {
    const ours = entries.filter((entry) => entry.era === era && entry.state === 'whole');
    if (ours.length === 0) continue;
    const there = await commitStates(to, backupShelf(cluster, era), { signal: run.signal });
    const backups = ours.flatMap(({ id }) => (there.has(id) ? [] : [id]));
    if (backups.length > 0) needs.push({ era, backups, wal: [] });
  }
  return needs;
}
