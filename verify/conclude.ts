import { type SegmentName, segmentNumber, timelineOf } from '../core/segment.ts';
import type { Affected, VerifiedRepository } from '../core/verified.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { affectedBy } from './affects.ts';
import { affectedDumps } from './dumps.ts';
import { type Damage, reportedFindings } from './findings.ts';
import { factsOf, placedBackups } from './replay.ts';
import type { State } from './state.ts';

/** What the look came to: its verdict, and each finding with what it makes unrestorable. */
export function conclude(cluster: ProtectedCluster, state: State): VerifiedRepository {
  const { findings, looking, done, stopped, rotation, unpacked, dumpsRead, foreign } = state;
  const { findings: named, leftOut } = reportedFindings(findings.all, affectsOf(cluster, state), isNextSegment(state));
  const open = findings.open.length;
  const unreadCount = looking.unreadCount;
  const why =
    open > 0
      ? `${open} ${open === 1 ? 'object is' : 'objects are'} damaged, missing or in conflict`
      : stopped !== null
        ? `it could not be looked at as a whole: ${stopped.message}`
        : unreadCount > 0
          ? `${unreadCount} ${unreadCount === 1 ? 'object' : 'objects'} could not be read`
          : null;
  return {
    repository: cluster.repository.name,
    repositoryId: cluster.repository.id,
    verdict: open > 0 ? 'failed' : why === null ? 'passed' : 'inconclusive',
    verdictReason: why,
    findings: named,
    findingsLeftOut: leftOut,
    foreignObjects: foreign,
    objects: done.objects,
    bytes: done.bytes,
    readObjects: done.readObjects,
    readBytes: done.readBytes,
    rotation,
    complete: state.complete,
    unread: looking.unread.toSorted((a, b) => (a.object < b.object ? -1 : 1)),
    unpacked,
    dumpsRead,
    notes: [...state.notes, ...whatWasNotProven(state)],
  };
}

/** What each finding affects, as things stand after repairs; of a repaired one, what it had affected is gone. */
function affectsOf(
  cluster: ProtectedCluster,
  { known: { eras }, facts, told, findings }: State,
): Map<string, Affected> {
  const all = affectedDumps(cluster.name, findings.open);
  for (const era of eras) {
    const placed = facts.get(era.name);
    if (placed === undefined) continue;
    const now = factsOf(cluster, era, placed.segmentBytes, placedBackups(era, told), findings);
    const own = findings.open.filter(({ subject }) => 'era' in subject && subject.era === era.name);
    for (const [object, affected] of affectedBy(now, own)) all.set(object, affected);
  }
  return all;
}

function isNextSegment({ facts }: State): (a: Damage, b: Damage) => boolean {
  const number = (segment: SegmentName, era: string) => segmentNumber(segment, facts.get(era)?.segmentBytes ?? 1 << 24);
  return ({ subject: a }, { subject: b, kind }) =>
    kind === 'missing' &&
    a.of === 'wal' &&
    b.of === 'wal' &&
    a.era === b.era &&
    timelineOf(a.segment) === timelineOf(b.segment) &&
    number(a.segment, a.era) + 1n === number(b.segment, b.era);
}

function whatWasNotProven({ done, stopped, findings, looking }: State): string[] {
  const notes: string[] = [];
  if (done.undecoded > 0) {
    notes.push(
      `${done.undecoded} objects were read, and this host has no key that opens them: parts were compared with the signed record, tags of WAL were not checked.`,
    );
  }
  if (stopped !== null && findings.open.length > 0)
    notes.push(`It could not be looked at as a whole: ${stopped.message}.`);
  const unnamed = looking.unreadCount - looking.unread.length;
  if (unnamed > 0) notes.push(`${unnamed} more objects could not be read.`);
  return notes;
}
