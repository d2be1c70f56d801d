import type { SegmentName } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type CommitState, commitState } from '../repository/commit-state.ts';
import { isCut, listCuts } from '../repository/cuts.ts';
import { listHistoryTags, readHistory } from '../repository/histories.ts';
import { commitKeyOf } from '../repository/shelf.ts';
import type { Damage, Findings } from './findings.ts';
import type { Known, KnownEra } from './known.ts';
import type { Looking } from './looking.ts';
import { shelfOf, shelvesOf } from './shelved.ts';

/**
 * A listing is no moment: while hours are read, backups are committed and deleted, and timelines adopted. What was found of those is
 * looked at again, and taken back where it was overtaken.
 * @returns sentences for the report.
 */
export async function takeBackOvertaken(
  cluster: ProtectedCluster,
  known: Known,
  findings: Findings,
  looking: Looking,
): Promise<string[]> {
  for (const era of known.eras) await takeBackInEra(cluster, era, findings, looking);
  const notes = new Set<string>();
  const states = new Map<string, CommitState>();
  const shelves = shelvesOf(cluster, known);
  for (const damage of findings.open) {
    const { subject } = damage;
    const found = shelfOf(shelves, subject);
    if (found === undefined || !('id' in subject)) continue;
    const { id } = subject;
    const { shelf, forget } = found;
    const key = commitKeyOf(shelf, id);
    const state = states.get(key) ?? (await commitState(cluster.repository, shelf, id, { signal: looking.signal }));
    states.set(key, state);
    const { committed, tombstones } = state;
    const what = shelf.what === 'backup' ? 'Backup' : 'Dump';
    if (tombstones.length > 0) {
      notes.add(`${what} ${id} was deleted while this run looked at it.`);
      forget(id);
      findings.takeBack(damage.object);
    } else if (committed && damage.kind === 'missing' && damage.object === key) {
      notes.add(`${what} ${id} was committed while this run listed; the next one reads it back.`);
      findings.takeBack(damage.object);
    }
  }
  return [...notes];
}

async function takeBackInEra(
  cluster: ProtectedCluster,
  era: KnownEra,
  findings: Findings,
  looking: Looking,
): Promise<void> {
  era.cuts = await listCuts(cluster.repository, cluster.name, era.name, { signal: looking.signal });
  for (const damage of findings.open) {
    const { subject } = damage;
    if (!('era' in subject) || subject.era !== era.name) continue;
    if (subject.of === 'history' && (await isAdopted(cluster, era, damage, looking))) findings.takeBack(damage.object);
    if (subject.of === 'wal' && damage.kind === 'missing' && isExpired(era, subject.segment))
      findings.takeBack(damage.object);
  }
}

/** Listed, and deleted before it was read. */
function isExpired({ cuts, record, census }: KnownEra, segment: SegmentName): boolean {
  if (record === null || !isCut(segment, cuts, record.segmentBytes)) return false;
  census.wal.delete(segment);
  return true;
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
