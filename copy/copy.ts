import { throwIfAborted } from '../core/abort.ts';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import type { CopyTarget } from '../core/report.ts';
import type { Run } from '../core/run.ts';
import { listBackups } from '../repository/catalogue.ts';
import { listDumps } from '../repository/dumps.ts';
import { assertOwner } from '../repository/owner.ts';
import type { EraRecord } from '../repository/record.ts';
import { withoutStanding } from '../storage/standing.ts';
import { copyArchive, every, noWal } from './archive.ts';
import { holdingArriving } from './arriving.ts';
import { copyBackups } from './backups.ts';
import type { Catalogue, Copying, Pair } from './copying.ts';
import { copyDumps } from './dumps.ts';
import { copyEras } from './eras.ts';
import { noteExpired } from './expired.ts';
import { holdingMissing } from './hold.ts';
import { measureLag } from './lag.ts';
import { copyNewest } from './newest.ts';
import { copyReports } from './reports.ts';
import { Tally } from './tally.ts';
import { copyWrappedKeys } from './wrapped-keys.ts';

export type CopyOptions = {
  /** Objects under way at once. @defaultValue 4 */
  parallel?: number;
  /** While the parts of backups go, new WAL goes in between about this often. @defaultValue 300 */
  walEverySeconds?: number;
  /** A copy in which nothing moves for so long is given up. @defaultValue 900 */
  stallSeconds?: number;
};

/** Refusals and notes in a report: a source that is damaged throughout would make it too large to travel. */
const told = 100;

/**
 * Brings what the target lacks of one cluster, as stored: nothing is encrypted anew, so the copy opens with the same keys. A
 * backup exists there last of all, once its parts and its WAL are there. What was interrupted is gone on with: nothing is sent
 * twice. An attempt that fails is an answer, too: with the error, and with what had been copied by then.
 * @throws {PgproofError} the signal's reason, and nothing else.
 */
export async function copyRepository(pair: Pair, run: Run, options: CopyOptions = {}): Promise<CopyTarget> {
  const { stallSeconds = 900 } = options;
  const began = performance.now();
  const tally = new Tally();
  const soFar = (): Omit<CopyTarget, 'outcome' | 'lag' | 'error'> => ({
    to: pair.to.name,
    seconds: Math.round(performance.now() - began) / 1000,
    copied: tally.copied,
    skipped: tally.skipped,
    backups: tally.backups,
    dumps: tally.dumps,
    refused: tally.refused.slice(0, told),
    refusedObjects: tally.refused.length,
    notes: tally.allNotes().slice(0, told),
  });
  try {
    refuseItself(pair);
    const lag = await withoutStanding(
      run,
      stallSeconds,
      () => stalled(pair, stallSeconds),
      (watched) => carryOut(pair, watched, tally.toldTo(watched.progress), options),
    );
    return { ...soFar(), outcome: tally.refused.length === 0 ? 'complete' : 'incomplete', lag, error: null };
  } catch (error) {
    throwIfAborted(run.signal);
    const { code, message, hint } = asPgproofError(error);
    return { ...soFar(), outcome: 'failed', lag: null, error: { code, message, hint } };
  }
}

async function carryOut(pair: Pair, run: Run, tally: Tally, options: CopyOptions): Promise<CopyTarget['lag']> {
  const { from, to, keys, cluster } = pair;
  const { signal } = run;
  tally.begin(`from ${from.name} to ${to.name}`);
  await assertOwner(to, { ...pair, name: cluster }, { signal });
  // Before the WAL is listed: all that these backups need is in the archive by now.
  const listed: Catalogue = {
    backups: await listBackups(from, keys, cluster, { signal }),
    dumps: await listDumps(from, keys, cluster, { signal }),
  };
  const copying: Copying = { ...pair, run, tally, width: options.parallel ?? 4, again: false, newWal: noWal };
  const eras = await copyEras(copying);
  await copyWrappedKeys(copying, eras);
  return holdingMissing(copying, eras, listed, (left) =>
    holdingArriving(copying, eras, left.backups, () => copyAll(copying, eras, left, options)),
  );
}

async function copyAll(
  copying: Copying,
  eras: readonly EraRecord[],
  { backups: entries, dumps }: Catalogue,
  options: CopyOptions,
): Promise<CopyTarget['lag']> {
  const { tally } = copying;
  const current = eras.at(-1);
  const seconds = options.walEverySeconds ?? 300;
  const newest = current === undefined ? undefined : await copyNewest(copying, current, entries, seconds);
  // Before the backups: a proof that comes behind its backup protects it too late.
  await copyReports(copying);
  for (const era of eras) await copyArchive(copying, era, era === current ? newest?.isOlder : undefined);
  const newWal = every(seconds, async () => {
    if (current !== undefined) await copyArchive({ ...copying, again: true }, current);
  });
  // Before the older backups: they are small, and the newest of them may be all that there is of a database.
  await copyDumps({ ...copying, newWal }, dumps);
  for (const era of eras.toReversed()) await copyBackups({ ...copying, newWal }, era, newest?.others ?? entries);
  // A backup may have taken hours; whoever loses the source next wants the WAL of these hours.
  if (tally.backups.length > 0 && current !== undefined) await copyArchive({ ...copying, again: true }, current);
  await noteExpired(copying, eras);
  return measureLag(copying, eras, entries);
}

/** A second name for one place protects from nothing. */
function refuseItself({ from, to }: Pair): void {
  if (from.id !== to.id) return;
  throw new PgproofError('config-invalid', `'${from.name}' and '${to.name}' are one and the same repository`, {
    facts: { from: from.name, to: to.name, location: to.location },
    hint: 'Correct repositories in the configuration: a copy needs a place of its own.',
  });
}

function stalled({ from, to }: Pair, seconds: number): PgproofError {
  return new PgproofError('timeout', `nothing has moved from '${from.name}' to '${to.name}' for ${seconds} s`, {
    facts: { from: from.name, to: to.name, seconds },
    hint: 'Look whether both stores still answer. The next copy goes on where this one stopped.',
  });
}
