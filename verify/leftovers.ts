import type { ProtectedCluster } from '../postgres/cluster.ts';
import { backupShelf, commitKeyOf, dumpShelf, partsPrefixOf } from '../repository/shelf.ts';
import type { Findings } from './findings.ts';
import { type KnownShelf, subjectOn } from './shelved.ts';

/**
 * A backup that waits for its WAL is given up after 25 hours, and the next one removes it. What another host's attempt at a dump
 * has left is removed after fifteen days.
 */
const pendingMs = { backup: 3 * 86_400_000, dump: 17 * 86_400_000 };

/** What a report says was committed here. `era` null: a dump. */
export type Told = { id: string; era: string | null };

/**
 * Backups and dumps whose commit file is gone although a report says that they were committed here; and parts that no commit file
 * speaks for. An attempt that never came to its end leaves some, which the next one removes: they are noted. Where a later one
 * should have removed them and did not, their commit file is what is missing.
 * @returns sentences for the report.
 */
export function findUncommitted(
  { name: cluster, repository, written }: ProtectedCluster,
  shelves: readonly KnownShelf[],
  told: readonly Told[],
  findings: Findings,
): string[] {
  const notes: string[] = [];
  // Where copies go, nobody clears up before the next one.
  const reaps = written.some(({ id }) => id === repository.id);
  for (const { id, era } of told) {
    const shelf = era === null ? dumpShelf(cluster) : backupShelf(cluster, era);
    const census = shelves.find((known) => known.shelf.era === era)?.census;
    if (census?.commits.has(id) || census?.tombstones.has(id)) continue;
    const parts = census?.parts.get(id)?.size ?? 0;
    const left = parts === 0 ? 'nothing of it is left' : `${parts} of its parts are there`;
    const why = `a report says that ${shelf.what} ${id} was committed, nobody deleted it, and ${left}`;
    findings.add({ object: commitKeyOf(shelf, id), kind: 'missing', why, subject: subjectOn(shelf, id) });
  }
  const toldIds = new Set(told.map(({ id }) => id));
  for (const { shelf, census, committed } of shelves) {
    const { what } = shelf;
    for (const id of census.parts.keys()) {
      if (census.commits.has(id) || toldIds.has(id)) continue;
      if (census.tombstones.has(id)) notes.push(`The deletion of ${id} was interrupted; the next ${what} ends it.`);
      else if (reaps && isOverdue(id, pendingMs[what], committed())) {
        const object = partsPrefixOf(shelf, id);
        const why = `parts without a commit file that later ${what}s did not remove: it may have been deleted`;
        findings.add({ object, kind: 'foreign', why, subject: subjectOn(shelf, id) });
      } else {
        notes.push(
          `${id} has parts and no commit file in repository ${repository.name}: it is under way, or was interrupted.`,
        );
      }
    }
  }
  return notes;
}

/** Older by days than one that was committed since, and that removes leftovers before it begins. */
function isOverdue(id: string, pending: number, committed: readonly { id: string }[]): boolean {
  return committed.some((other) => timeOf(other.id) - timeOf(id) > pending);
}

/** `20261120T140501Z-…` */
function timeOf(id: string): number {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/.exec(id) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}
