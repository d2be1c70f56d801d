import type { SegmentName } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type CommitState, commitState } from '../repository/commit-state.ts';
import { isCut, listCuts } from '../repository/cuts.ts';
import { listHistoryTags, readHistory } from '../repository/histories.ts';
import { backupKey } from '../repository/layout.ts';
import { backupShelf } from '../repository/shelf.ts';
import type { KnownEra } from './documents.ts';
import type { Damage, Findings } from './findings.ts';
import type { Looking } from './looking.ts';

/**
 * A listing is no moment: while hours are read, backups are committed and deleted, and timelines adopted. What was found of those is
 * looked at again, and taken back where it was overtaken.
 * @returns sentences for the report.
 */
export async function takeBackOvertaken(
  cluster: ProtectedCluster,
  eras: readonly KnownEra[],
  findings: Findings,
  looking: Looking,
): Promise<string[]> {
  const notes = new Set<string>();
  const states = new Map<string, CommitState>();
  for (const era of eras) {
    era.cuts = await listCuts(cluster.repository, cluster.name, era.name, { signal: looking.signal });
    for (const damage of findings.open) {
      const { subject } = damage;
      if (subject.of === 'repository' || subject.era !== era.name) continue;
      if (subject.of === 'history' && (await isAdopted(cluster, era, damage, looking)))
        findings.takeBack(damage.object);
      if (subject.of === 'wal' && damage.kind === 'missing' && isExpired(era, subject.segment))
        findings.takeBack(damage.object);
      if (subject.of !== 'backup') continue;
      const options = { signal: looking.signal };
      const { id } = subject;
      const state =
        states.get(id) ?? (await commitState(cluster.repository, backupShelf(cluster.name, era.name), id, options));
      states.set(id, state);
      const { committed, tombstones } = state;
      if (tombstones.length > 0) {
        notes.add(`Backup ${id} was deleted while this run looked at it.`);
        era.records = era.records.filter((record) => record.id !== id);
        findings.takeBack(damage.object);
      } else if (committed && damage.kind === 'missing' && isCommitFile(cluster, damage)) {
        notes.add(`Backup ${id} was committed while this run listed; the next one reads it back.`);
        findings.takeBack(damage.object);
      }
    }
  }
  return [...notes];
}

/** Listed, and deleted before it was read. */
function isExpired({ cuts, record, census }: KnownEra, segment: SegmentName): boolean {
  if (record === null || !isCut(segment, cuts, record.segmentBytes)) return false;
  census.wal.delete(segment);
  return true;
}

function isCommitFile({ name }: ProtectedCluster, { object, subject }: Damage): boolean {
  return subject.of === 'backup' && object === backupKey(name, subject.era, subject.id);
}

/** Its WAL was listed after its history file had been looked for. */
async function isAdopted(
  { repository, walKeys, name: cluster }: ProtectedCluster,
  era: KnownEra,
  { subject, kind }: Damage,
  { signal }: Looking,
): Promise<boolean> {
  if (subject.of !== 'history' || kind !== 'missing') return false;
  const { timeline } = subject;
  const [tag] = (await listHistoryTags(repository, cluster, era.name, { signal })).get(timeline) ?? [];
  if (tag === undefined) return false;
  const { entries } = await readHistory(repository, walKeys, cluster, era.name, timeline, tag, { signal });
  era.histories.set(timeline, entries);
  return true;
}
