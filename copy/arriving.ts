import { asPgproofError, hasCode } from '../core/errors.ts';
import type { EraNeeds, Hold, WalRange } from '../core/hold.ts';
import { compareLsn, type Lsn } from '../core/lsn.ts';
import type { BackupEntry } from '../repository/catalogue.ts';
import { commitStates } from '../repository/commit-state.ts';
import { listCuts } from '../repository/cuts.ts';
import { holdEverything, narrowHold, releaseAllFor, releaseHold } from '../repository/holds.ts';
import type { BackupRecord, EraRecord } from '../repository/record.ts';
import { backupShelf } from '../repository/shelf.ts';
import { isWithoutWal } from './backups.ts';
import type { Copying } from './copying.ts';

/** A copy that ended by an error is followed by another one before that. */
const seconds = 14 * 86_400;
/** What is missing is known after a few listings. */
const lookingSeconds = 86_400;

/**
 * Holds, in the target, what is about to arrive: the backups that it lacks, and WAL from the start of the oldest one on. The newest
 * backup arrives first, so that the rules of the target would take the WAL of all others for what nothing needs any more. A copy
 * that ends by an error leaves its hold to the next one.
 */
export async function holdingArriving<T>(
  copying: Copying,
  eras: readonly EraRecord[],
  entries: readonly BackupEntry[],
  use: () => Promise<T>,
): Promise<T> {
  const { to, tally } = copying;
  const hold = await holdArriving(copying, eras, entries);
  const done = await use();
  if (hold !== null)
    await releaseHold(to, hold).catch((error: unknown) => {
      tally.notes.push(
        `Hold ${hold.id} in ${to.name} was not released (${asPgproofError(error).message}): it ends by itself.`,
      );
    });
  return done;
}

async function holdArriving(
  copying: Copying,
  eras: readonly EraRecord[],
  entries: readonly BackupEntry[],
): Promise<Hold | null> {
  const { from, to, host, cluster, run, tally } = copying;
  const { signal } = run;
  if ((await arriving(copying, eras, entries)).length === 0) return null;
  const order = { cluster, operation: 'copy', by: host, reason: `what comes from ${from.name}` } as const;
  try {
    const wide = await holdEverything(to, { ...order, seconds: lookingSeconds }, { signal });
    // Again, behind the hold: what was cut before will not come.
    const needs = await arriving(copying, eras, entries);
    const hold = await narrowHold(to, wide, { needs, seconds }, { signal });
    await releaseAllFor(to, hold, { except: [hold.id], signal });
    return hold;
  } catch (error) {
    if (!hasCode(error, 'store-denied')) throw error;
    tally.notes.push(`Nothing is held in ${to.name} (${error.message}): \`expire\` may delete there what arrives.`);
    return null;
  }
}

async function arriving(
  { to, cluster, run }: Copying,
  eras: readonly EraRecord[],
  entries: readonly BackupEntry[],
): Promise<EraNeeds[]> {
  const { signal } = run;
  const needs: EraNeeds[] = [];
  for (const { era } of eras) {
    const there = await commitStates(to, backupShelf(cluster, era), { signal });
    const cuts = await listCuts(to, cluster, era, { signal });
    const records = entries.flatMap((entry) =>
      entry.era === era && entry.state === 'whole' && !there.has(entry.id) && !isWithoutWal(entry.record, cuts)
        ? [entry.record]
        : [],
    );
    if (records.length > 0) needs.push({ era, backups: records.map(({ id }) => id), wal: walSince(records) });
  }
  return needs;
}

/** Of each timeline: from the oldest of these backups on. */
function walSince(records: readonly BackupRecord[]): WalRange[] {
  return [...new Set(records.map(({ timeline }) => timeline))].map((timeline) => {
    const starts = records.filter((record) => record.timeline === timeline).map(({ startLsn }) => startLsn as Lsn);
    return { timeline, from: starts.reduce((a, b) => (compareLsn(b, a) < 0 ? b : a)), to: null };
  });
}
