import { type Hold, holdsBackup, isInForce } from '../hold.ts';
import { compareLsn } from '../lsn.ts';
import type { Chains } from './chains.ts';
import type { BackupPlace, ProofFacts, RepositoryFacts } from './facts.ts';
import { lineageOf } from './lineage.ts';
import type { Kept } from './rules.ts';

/*
 * What stays whatever the rules say (invariant 5).
 */

/** @param reference a hold has ended when its time is before this: a clock that jumped ahead ends none. */
export function protectedBackups(
  facts: RepositoryFacts,
  chains: Chains,
  proven: readonly ProofFacts[],
  reference: number,
): Kept[] {
  return [
    ...proven.map(
      ({ backup, drill }): Kept => ({
        id: backup,
        reason: { rule: 'proof', because: `the newest of its era that a drill has proven: ${drill}` },
      }),
    ),
    ...standingHolds(facts, reference).flatMap((hold) =>
      facts.backups
        .filter(({ era, id }) => holdsBackup(hold, era, id))
        .map(({ id }): Kept => ({ id, reason: { rule: 'hold', because: holdText(hold) } })),
    ),
    ...doubtful(facts, chains),
  ];
}

export function standingHolds({ holds }: RepositoryFacts, reference: number): Hold[] {
  return holds.filter((hold) => isInForce(hold, new Date(reference)));
}

const holdText = ({ id, by, reason, until }: Hold): string =>
  `${id} of ${by}${reason === null ? '' : ` (${reason})`}, until ${until}`;

/**
 * Of each era the newest backup that a drill has passed on, with that backup's newest drill; and those behind it whose deletion was
 * begun before they were proven.
 */
export function provenBackups(
  { eras, backups, leaving, proofs }: RepositoryFacts,
  { parentsOf }: Chains,
): ProofFacts[] {
  const isProven = ({ id }: { id: string }) => proofs.some(({ backup }) => backup === id);
  return eras.flatMap(({ era }) => {
    const own = backups.filter((backup) => backup.era === era && parentsOf(backup.id) !== null);
    const newest = own.filter(isProven).sort(byPlace).at(-1);
    const late = leaving.filter((one) => one.era === era && isProven(one));
    const behind = late.filter((one) => newest === undefined || byPlace(newest, one) < 0);
    return [...(newest === undefined ? [] : [newest]), ...behind].flatMap(({ id }) => {
      const drills = proofs.filter(({ backup }) => backup === id);
      return drills.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at)).slice(-1);
    });
  });
}

function byPlace(a: BackupPlace, b: BackupPlace): number {
  return a.timeline - b.timeline || compareLsn(a.stopLsn, b.stopLsn);
}

/** What nobody can decide about: a person has to. */
function doubtful({ eras, backups, damaged }: RepositoryFacts, { parentsOf, childrenOf }: Chains): Kept[] {
  const unclear = new Map(eras.flatMap(({ era, doubt }) => (doubt === null ? [] : [[era, doubt]])));
  // A damaged increment has a parent, and nobody knows which.
  for (const { id, era, place } of damaged)
    if (place === null && !id.includes('-full-')) unclear.set(era, `damaged backup ${id} may be an increment of it`);
  const timelines = new Map(eras.map((each) => [each.era, lineageOf(each).paths]));
  const lost = new Set(damaged.map(({ id }) => id));
  return backups.flatMap(({ id, era, timeline }): Kept[] => {
    const doubt = (because: string): Kept[] => [{ id, reason: { rule: 'doubt', because } }];
    const paths = timelines.get(era);
    if (paths === undefined) return doubt(`its era ${era} is not declared here`);
    if (!paths.has(timeline)) return doubt(`its timeline ${timeline} has no history file here`);
    const why = unclear.get(era);
    if (why !== undefined) return doubt(why);
    if (parentsOf(id) === null) return doubt('a backup that it is an increment of is not there whole');
    const child = childrenOf(id).find((each) => lost.has(each));
    return child === undefined ? [] : doubt(`damaged backup ${child} is an increment of it`);
  });
}
