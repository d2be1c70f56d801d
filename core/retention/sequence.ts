import { compareLsn } from '../lsn.ts';
import type { Chains } from './chains.ts';
import { believedTimes } from './clock.ts';
import type { BackupFacts, RepositoryFacts } from './facts.ts';
import { isOnCurrentPath, type Lineage } from './lineage.ts';

/** A backup that can be restored by itself, and when it was made as far as that is believed. Milliseconds. */
export type Standing = BackupFacts & { at: number };

/** The life of a cluster in one repository, oldest first. */
export type Sequence = {
  /** On the way to what runs now: an era's newest timeline, and the eras before it. */
  main: readonly Standing[];
  /** On a timeline that was left: an old primary's last backups. */
  branched: readonly Standing[];
};

/** Order is that of eras and WAL, never of names or clocks. */
export function sequenceOf(
  { eras, backups }: RepositoryFacts,
  lineages: ReadonlyMap<string, Lineage>,
  { parentsOf }: Chains,
): Sequence {
  const place = new Map(eras.map(({ era }, index) => [era, index]));
  const ordered = backups
    .filter(({ id, era }) => place.has(era) && parentsOf(id) !== null)
    .toSorted(
      (a, b) =>
        (place.get(a.era) as number) - (place.get(b.era) as number) ||
        a.timeline - b.timeline ||
        compareLsn(a.stopLsn, b.stopLsn) ||
        (a.id < b.id ? -1 : 1),
    );
  const isMain = (backup: BackupFacts): boolean => isOnCurrentPath(lineages.get(backup.era) as Lineage, backup);
  const main = ordered.filter(isMain);
  const times = believedTimes(main.map(({ id, stoppedAt }) => ({ id, at: Date.parse(stoppedAt) })));
  return {
    main: main.map((backup) => ({ ...backup, at: times.get(backup.id) as number })),
    branched: ordered
      .filter((backup) => !isMain(backup))
      .map((backup) => ({ ...backup, at: Date.parse(backup.stoppedAt) })),
  };
}
