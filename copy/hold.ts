import { asPgproofError, hasCode } from '../core/errors.ts';
import type { EraNeeds, Hold } from '../core/hold.ts';
import { commitStates } from '../repository/commit-state.ts';
import type { Entry } from '../repository/entries.ts';
import { placeHold, releaseHold } from '../repository/holds.ts';
import type { EraRecord } from '../repository/record.ts';
import { backupShelf, dumpShelf, type Shelf } from '../repository/shelf.ts';
import type { Catalogue, Copying } from './copying.ts';

/** A copy of many terabytes over a thin line takes days. */
const seconds = 14 * 86_400;

/**
 * Holds, in the source, the backups and dumps that the target lacks; the commit files of backups keep their WAL. A copy that lacks none, as most of
 * those that run every few minutes, holds nothing.
 * @param use is given the catalogue without what is being deleted in this moment.
 */
export async function holdingMissing<T>(
  copying: Copying,
  eras: readonly EraRecord[],
  catalogue: Catalogue,
  use: (catalogue: Catalogue) => Promise<T>,
): Promise<T> {
  const { from, tally } = copying;
  const { hold, left } = await holdMissing(copying, eras, catalogue);
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
  catalogue: Catalogue,
): Promise<{ hold: Hold | null; left: Catalogue }> {
  const { from, host, cluster, run, tally } = copying;
  const { signal } = run;
  for (let left = catalogue; ; ) {
    const missing = await missingAt(copying, eras, left);
    if (missing.needs.length === 0 && missing.dumps.length === 0) return { hold: null, left };
    try {
      const order = { cluster, operation: 'copy', by: host, reason: null, seconds, ...missing } as const;
      return { hold: await placeHold(from, order, { signal }), left };
    } catch (error) {
      if (hasCode(error, 'store-denied')) {
        tally.notes.push(`Nothing is held in ${from.name} (${error.message}): \`expire\` may delete what is copied.`);
        return { hold: null, left };
      }
      if (!hasCode(error, 'backup-deleted')) throw error;
      const gone = [error.facts.backups, error.facts.dumps].flatMap((ids) => (ids ?? []) as readonly string[]);
      tally.notes.push(`Deleted in ${from.name} just now, and not copied: ${gone.join(', ')}.`);
      const isLeft = ({ id }: { id: string }) => !gone.includes(id);
      left = { backups: left.backups.filter(isLeft), dumps: left.dumps.filter(isLeft) };
    }
  }
}

async function missingAt(
  { to, cluster, run }: Copying,
  eras: readonly EraRecord[],
  { backups, dumps }: Catalogue,
): Promise<{ needs: EraNeeds[]; dumps: string[] }> {
  const needs: EraNeeds[] = [];
  for (const { era } of eras) {
    const ours = backups.filter((entry) => entry.era === era);
    const missing = await idsMissing(backupShelf(cluster, era), ours);
    if (missing.length > 0) needs.push({ era, backups: missing, wal: [] });
  }
  return { needs, dumps: await idsMissing(dumpShelf(cluster), dumps) };

  async function idsMissing(shelf: Shelf, entries: readonly Entry<unknown>[]): Promise<string[]> {
    const whole = entries.filter(({ state }) => state === 'whole');
    const there = whole.length === 0 ? new Map() : await commitStates(to, shelf, { signal: run.signal });
    return whole.flatMap(({ id }) => (there.has(id) ? [] : [id]));
  }
}
