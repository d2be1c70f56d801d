import { throwIfAborted } from '../core/abort.ts';
import { asPgproofError } from '../core/errors.ts';
import { compareLsn, type Lsn } from '../core/lsn.ts';
import type { CopyLag } from '../core/report.ts';
import type { SegmentName } from '../core/segment.ts';
import { segmentStart, timelineOf } from '../core/segment.ts';
import { type TimelinePath, timelineAt } from '../core/timeline.ts';
import type { BackupEntry } from '../repository/catalogue.ts';
import { type CommitState, commitStates } from '../repository/commit-state.ts';
import { isCut, listCuts } from '../repository/cuts.ts';
import { parseWalKey, walPrefix } from '../repository/layout.ts';
import type { EraRecord } from '../repository/record.ts';
import { backupShelf, dumpShelf } from '../repository/shelf.ts';
import type { WalListing } from '../repository/wal.ts';
import { archiveFrontier, type Frontier } from '../wal/frontier.ts';
import { newestArchivedHeartbeat } from '../wal/heartbeat.ts';
import { currentPath, readLineage } from '../wal/lineage.ts';
import { isWithoutWal } from './backups.ts';
import { compare } from './compare.ts';
import type { Copying } from './copying.ts';

/**
 * How far the target is behind now, by what both stores list: what came while the copy ran counts, too.
 * @param entries the source's catalogue, to count WAL from.
 */
export async function measureLag(
  copying: Copying,
  eras: readonly EraRecord[],
  entries: readonly BackupEntry[],
): Promise<CopyLag> {
  copying.tally.begin('lag');
  const missing = await missingBackups(copying, eras, entries);
  const lacked = { backups: missing.length, dumps: await missingDumps(copying) };
  const unknown = { seconds: null, from: null, to: null, segments: 0, bytes: 0, ...lacked };
  const era = eras.at(-1);
  if (era === undefined) return { ...unknown, reason: 'no era is declared in the source' };
  const wal = await compareWal(copying, era);
  const counts = { segments: wal.segments, bytes: wal.bytes, ...lacked };
  try {
    const { from: repository, cluster: name, walKeys, run } = copying;
    const path = currentPath(await readLineage({ repository, walKeys, name }, era, { signal: run.signal }));
    const starts = startsOn(path, era, entries);
    const held = starts.filter(({ id }) => !missing.includes(id));
    const from = frontierOf(path, wal.ours, starts, era);
    const to = frontierOf(path, wal.theirs, held.length > 0 ? held : starts, era);
    return { ...counts, ...(await secondsBetween(copying, from, to)), from: positionOf(from), to: positionOf(to) };
  } catch (error) {
    throwIfAborted(copying.run.signal);
    return { ...unknown, ...counts, reason: asPgproofError(error).message };
  }
}

/** Ids of the source's backups that do not exist at the target and were not deleted there. */
async function missingBackups(
  { from, to, cluster, run }: Copying,
  eras: readonly EraRecord[],
  entries: readonly BackupEntry[],
): Promise<string[]> {
  const records = new Map(entries.map((entry) => [entry.id, entry.state === 'whole' ? entry.record : null]));
  const missing: string[] = [];
  for (const { era } of eras) {
    const theirs = await commitStates(to, backupShelf(cluster, era), { signal: run.signal });
    const cuts = await listCuts(to, cluster, era, { signal: run.signal });
    for (const [id, { committed, tombstones }] of await commitStates(from, backupShelf(cluster, era), {
      signal: run.signal,
    })) {
      const state = theirs.get(id);
      const record = records.get(id) ?? null;
      const isExpired = record !== null && isWithoutWal(record, cuts);
      const isSettled = isExpired || (state !== undefined && (state.committed || state.tombstones.length > 0));
      if (committed && tombstones.length === 0 && !isSettled) missing.push(id);
    }
  }
  return missing;
}

/** How many dumps of the source do not exist at the target and were not deleted there. */
async function missingDumps({ from, to, cluster, run }: Copying): Promise<number> {
  const [ours, theirs] = await Promise.all(
    [from, to].map((repository) => commitStates(repository, dumpShelf(cluster), { signal: run.signal })),
  );
  const isMissing = ([id, { committed, tombstones }]: [string, CommitState]): boolean =>
    committed && tombstones.length === 0 && !theirs?.has(id);
  return [...(ours ?? [])].filter(isMissing).length;
}

type ComparedWal = { ours: WalListing; theirs: WalListing; segments: number; bytes: number };

async function compareWal(copying: Copying, { era, segmentBytes }: EraRecord): Promise<ComparedWal> {
  const wal: ComparedWal = { ours: new Map(), theirs: new Map(), segments: 0, bytes: 0 };
  const { to, cluster, tally, run } = copying;
  const cuts = await listCuts(to, cluster, era, { signal: run.signal });
  for await (const { key, bytes, there } of compare(copying, walPrefix(cluster, era))) {
    const found = parseWalKey(key);
    if (found === undefined) continue;
    add(wal.ours, found);
    if (there !== undefined && !tally.isRefused(key)) {
      add(wal.theirs, found);
    } else if (!isCut(found.segment, cuts, segmentBytes)) {
      wal.segments += 1;
      wal.bytes += bytes;
    }
  }
  return wal;
}

function add(listing: WalListing, { segment, tag }: { segment: SegmentName; tag: string }): void {
  const tags = listing.get(segment) ?? [];
  if (!tags.includes(tag)) listing.set(segment, [...tags, tag]);
}

type Start = { id: string; startLsn: Lsn };

function startsOn(path: TimelinePath, { era }: EraRecord, entries: readonly BackupEntry[]): Start[] {
  return entries
    .flatMap((entry) => (entry.state === 'whole' && entry.era === era ? [entry.record] : []))
    .filter(({ startLsn, timeline }) => timelineAt(path, startLsn as Lsn) === timeline)
    .map(({ id, startLsn }) => ({ id, startLsn: startLsn as Lsn }));
}

/** Where WAL without a gap ends, counted from the newest of these backups, or from the first segment. */
function frontierOf(
  path: TimelinePath,
  listing: WalListing,
  starts: readonly Start[],
  { segmentBytes }: EraRecord,
): Frontier | null {
  const onPath = new Set(path.map(({ timeline }) => timeline));
  const first = [...listing.keys()]
    .filter((segment) => onPath.has(timelineOf(segment)))
    .map((segment) => segmentStart(segment, segmentBytes))
    .sort(compareLsn)[0];
  const anchor =
    starts
      .map(({ startLsn }) => startLsn)
      .sort(compareLsn)
      .at(-1) ?? first;
  return anchor === undefined ? null : archiveFrontier(path, listing, anchor, segmentBytes);
}

const positionOf = (frontier: Frontier | null) =>
  frontier === null ? null : { timeline: frontier.timeline, lsn: frontier.lsn };

/** The times of both ends are those of this host's heartbeats: nothing else knows when a position was written. */
async function secondsBetween(
  { paths }: Copying,
  from: Frontier | null,
  to: Frontier | null,
): Promise<Pick<CopyLag, 'seconds' | 'reason'>> {
  if (from?.lsn === to?.lsn && from?.timeline === to?.timeline) return { seconds: 0, reason: null };
  if (from === null || to === null) return { seconds: null, reason: 'the copy holds no WAL yet' };
  const ours = await newestArchivedHeartbeat({ paths }, from);
  const theirs = await newestArchivedHeartbeat({ paths }, to);
  if (ours === null || theirs === null)
    return { seconds: null, reason: `this host knows no heartbeat up to ${ours === null ? from.lsn : to.lsn}` };
  return { seconds: Math.max(0, (Date.parse(ours.at) - Date.parse(theirs.at)) / 1000), reason: null };
}
