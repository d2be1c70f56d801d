import { setTimeout as sleep } from 'node:timers/promises';
import { compareLsn, type Lsn } from '../core/lsn.ts';
import type { SegmentName } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { isCut, listCuts } from '../repository/cuts.ts';
import { parseWalKey, walPrefix } from '../repository/layout.ts';
import { type EraFacts, firstPositions, type PlacedBackup } from './affects.ts';
import type { WalObject } from './census.ts';
import { timelinesOf } from './documents.ts';
import { findExpiredElsewhere } from './expired-elsewhere.ts';
import type { Findings } from './findings.ts';
import type { KnownEra } from './known.ts';
import type { Looking } from './looking.ts';
import { type Gap, gapsOn, leafPaths, type SegmentFault } from './path.ts';
import type { ToldBackup } from './told.ts';
import { walObjectKey } from './work.ts';

/**
 * Where the WAL of an era cannot be replayed, from its first backup on: segments that are missing, that exist with two contents,
 * or that were found damaged. Missing ones and conflicts become findings here.
 */
export async function checkReplay(
  cluster: ProtectedCluster,
  era: KnownEra,
  told: ReadonlyMap<string, ToldBackup>,
  findings: Findings,
  looking: Looking,
): Promise<EraFacts | null> {
  const segmentBytes = era.record?.segmentBytes ?? era.records[0]?.segmentBytes;
  if (segmentBytes === undefined) return null;
  const backups = placedBackups(era, told);
  for (let looks = 1; ; looks += 1) {
    const facts = factsOf(cluster, era, segmentBytes, backups, findings);
    const missing = missingIn(facts);
    // Segments are shipped side by side: one that is on its way looks like a gap for a moment.
    if (missing.length === 0 || looks === 3) {
      noteFindings(cluster, era, facts, findings);
      return facts;
    }
    if (looks === 1)
      era.expiredElsewhere = await findExpiredElsewhere(cluster, era, missing, segmentBytes, looking.signal);
    else await sleep(looking.pauseMs, undefined, { signal: looking.signal });
    await lookAgain(cluster, era, missing, looking);
  }
}

/** What of an era is known about its WAL with the findings as they are. */
export function factsOf(
  { name: cluster }: ProtectedCluster,
  { name, census, histories, cuts, expiredElsewhere, record }: KnownEra,
  segmentBytes: number,
  backups: readonly PlacedBackup[],
  findings: Findings,
): EraFacts {
  const damaged = new Set(findings.open.filter(({ kind }) => kind === 'damaged').map(({ object }) => object));
  const faultOf = (segment: SegmentName): SegmentFault | null => {
    const objects = census.wal.get(segment);
    if (objects === undefined || objects.length === 0)
      return isCut(segment, cuts, segmentBytes) || expiredElsewhere.has(segment) ? 'expired' : 'missing';
    if (new Set(objects.map(({ tag }) => tag)).size > 1) return 'conflict';
    const isWhole = objects.some((object) => !damaged.has(walObjectKey(cluster, name, segment, object)));
    return isWhole ? null : 'damaged';
  };
  const first = backups.map(({ startLsn }) => startLsn).sort(compareLsn)[0];
  const others = [...timelinesOf(census), ...(record === null ? [] : [record.timeline])];
  const paths = leafPaths(histories, others).map((path) => {
    const gaps =
      first === undefined ? [] : gapsOn(path, census.wal.keys(), faultOf, startOn(path, backups, first), segmentBytes);
    return { path, gaps };
  });
  return { era: name, segmentBytes, backups, paths, firstOf: firstPositions(census.wal.keys(), segmentBytes) };
}

/** WAL before the first backup on a path serves nobody. */
function startOn(path: Parameters<typeof gapsOn>[0], backups: readonly PlacedBackup[], fallback: Lsn): Lsn {
  const timelines = new Set(path.map(({ timeline }) => timeline));
  const starts = backups.filter(({ timeline }) => timelines.has(timeline)).map(({ startLsn }) => startLsn);
  return starts.sort(compareLsn)[0] ?? fallback;
}

/** From their records; of those that reports only tell of, from the report. */
export function placedBackups({ name, records }: KnownEra, told: ReadonlyMap<string, ToldBackup>): PlacedBackup[] {
  const known: PlacedBackup[] = records.map(({ id, parent, timeline, startLsn, stopLsn, stoppedAt }) => ({
    id,
    parent,
    timeline,
    startLsn: startLsn as Lsn,
    stopLsn: stopLsn as Lsn,
    stoppedAt,
  }));
  const ids = new Set(known.map(({ id }) => id));
  const lost = [...told.values()].filter(({ era, id }) => era === name && !ids.has(id));
  return [...known, ...lost].sort((a, b) => compareLsn(a.stopLsn, b.stopLsn));
}

function missingIn({ paths }: EraFacts): SegmentName[] {
  const missing = paths.flatMap(({ gaps }) => gaps.flatMap(({ segments }) => segments));
  return [...new Set(missing.filter(({ fault }) => fault === 'missing').map(({ name }) => name))];
}

/** Lists the folders of at most so many logs (16 hex digits) again: where thousands are missing, they are not on their way. */
const mostLogs = 16;

async function lookAgain(
  { repository, name: cluster }: ProtectedCluster,
  era: KnownEra,
  missing: readonly SegmentName[],
  { signal }: Looking,
): Promise<void> {
  era.cuts = await listCuts(repository, cluster, era.name, { signal });
  const { name, census } = era;
  const logs = [...new Set(missing.map((segment) => segment.slice(0, 16)))].slice(-mostLogs);
  for (const log of logs) {
    const prefix = `${walPrefix(cluster, name)}${log.slice(0, 8)}/${log}/`;
    for await (const { key, bytes } of repository.store.list(prefix, { signal })) {
      const found = parseWalKey(key);
      if (found === undefined || census.wal.has(found.segment)) continue;
      census.wal.set(found.segment, [{ tag: found.tag, encrypted: key.endsWith('.enc'), bytes }]);
    }
  }
}

function noteFindings(
  { name: cluster }: ProtectedCluster,
  era: KnownEra,
  { paths }: EraFacts,
  findings: Findings,
): void {
  for (const { name: segment, fault } of paths.flatMap(({ gaps }) => gaps.flatMap((gap: Gap) => gap.segments))) {
    if (fault !== 'missing') continue;
    const object = missingSegmentKey(cluster, era.name, segment);
    const why = 'later WAL is there, and this segment is not';
    findings.add({ object, kind: 'missing', why, subject: { of: 'wal', era: era.name, segment } });
  }
  for (const [segment, objects] of era.census.wal) {
    const contents = new Set(objects.map(({ tag }) => tag)).size;
    if (contents < 2) continue;
    const object = walObjectKey(cluster, era.name, segment, objects[0] as WalObject);
    const why = `segment ${segment} is there with ${contents} different contents: see pgproof wal quarantine list ${cluster}`;
    findings.add({ object, kind: 'conflict', why, subject: { of: 'wal', era: era.name, segment } });
  }
}

/** Nobody knows its tag. */
function missingSegmentKey(cluster: string, era: string, segment: SegmentName): string {
  return `${walPrefix(cluster, era)}${segment.slice(0, 8)}/${segment.slice(0, 16)}/${segment}`;
}
