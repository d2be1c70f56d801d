import { asPgproofError, hasCode, PgproofError } from '../core/errors.ts';
import type { Lsn } from '../core/lsn.ts';
import { type SegmentName, segmentNumber, type TimelineId } from '../core/segment.ts';
import { isRequired, writtenNames } from '../core/written.ts';
import { type FoundCluster, inRepository } from '../postgres/cluster.ts';
import type { ServerFacts } from '../postgres/server.ts';
import { isCut } from '../repository/cuts.ts';
import { refuseOfOther } from '../repository/owner.ts';
import type { WalListing } from '../repository/wal.ts';
import { conflictOf } from './await.ts';
import { type ArchiveState, readArchive, walBytesBetween } from './frontier.ts';
import { newestArchivedHeartbeat } from './heartbeat.ts';
import { inTarget } from './lane.ts';
import { type Conflict, conflictsIn } from './quarantine.ts';
import { readShipperNotes, type ShipperNotes } from './shipper-notes.ts';

/** Where one of the repositories that WAL is written to stands. What cannot be asked is null, and among the problems. */
export type RepositoryWal = {
  name: string;
  /** Whether the spool keeps WAL until it is there. */
  required: boolean;
  era: string | null;
  /** The newest timeline that was adopted. */
  timeline: TimelineId | null;
  /** Everything before it is in the repository, counted from the newest backup. */
  frontier: Lsn | null;
  /** The first gap behind the frontier. */
  missing: SegmentName[];
  /** Segments in the archive, on the path to the newest timeline. */
  archivedSegments: number;
  /** WAL the server has written and the archive does not hold. */
  lagBytes: number | null;
  /** Age of the newest archived heartbeat; null where there is none. */
  lagSeconds: number | null;
  conflicts: Conflict[];
  /** Segments that another one of them has and this one lacks, behind its first; the spool may still bring them. */
  lacking: number;
  shipper: {
    lastShipped: string | null;
    lastShippedAt: string | null;
    lastError: ShipperNotes['lastError'];
    /** What the spool keeps for somebody's word, with the reason. */
    waiting: ShipperNotes['waiting'];
  };
  problems: Problem[];
};

export type Problem = { code: string; message: string; hint: string | null };

type Options = { signal?: AbortSignal };

/** All that the config says WAL is written to, nearest first. @param spooled names of the files in the spool. */
export async function repositoriesStatus(
  cluster: FoundCluster,
  server: ServerFacts | null,
  spooled: ReadonlySet<string>,
  options: Options,
): Promise<RepositoryWal[]> {
  const names = writtenNames(cluster.config);
  const archives = await Promise.all(names.map((name) => answerOf(archiveIn(cluster, name, options), options)));
  const all = archives.flatMap(({ value }) => (value === null ? [] : [value.listing]));
  return Promise.all(
    names.map(async (name, index) => {
      const archive = archives[index] as Answered<ArchiveState>;
      const status = await statusIn(cluster, name, archive, names.length === 1, server, options);
      const compared = compareListings(cluster.name, name, archive.value, all, spooled);
      return {
        ...status,
        lacking: compared.lacking,
        problems: [...status.problems, ...compared.problems.map((one) => problemOf(inTarget(one, { name }, false)))],
      };
    }),
  );
}

/** What only a look at several of them tells: WAL that did not get here and will not, and one segment with two contents. */
function compareListings(
  cluster: string,
  name: string,
  archive: ArchiveState | null,
  all: readonly WalListing[],
  spooled: ReadonlySet<string>,
): { lacking: number; problems: PgproofError[] } {
  if (archive === null || archive.listing.size === 0 || all.length === 1) return { lacking: 0, problems: [] };
  const { listing, era, cuts } = archive;
  const numberOf = (segment: SegmentName) => segmentNumber(segment, era.segmentBytes);
  let first = numberOf([...listing.keys()][0] as SegmentName);
  for (const segment of listing.keys()) if (numberOf(segment) < first) first = numberOf(segment);
  const elsewhere = new Map(all.flatMap((one) => [...one]));
  const lacking = [...elsewhere.keys()]
    .filter((segment) => !listing.has(segment) && numberOf(segment) >= first)
    .filter((segment) => !isCut(segment, cuts, era.segmentBytes))
    .sort();
  const lost = lacking.filter((segment) => !spooled.has(segment));
  const split = [...listing].flatMap(([segment, tags]) => {
    const contents = new Set(all.flatMap((one) => one.get(segment) ?? []));
    return tags.length === 1 && contents.size > 1 ? [conflictOf(segment, [...contents])] : [];
  });
  return { lacking: lacking.length, problems: [...notComing(cluster, name, lost), ...split.slice(0, 1)] };
}

function notComing(cluster: string, name: string, [first, ...more]: readonly SegmentName[]): PgproofError[] {
  if (first === undefined) return [];
  const what = more.length === 0 ? `segment ${first} is` : `segment ${first} and ${more.length} more are`;
  return [
    new PgproofError('copy-incomplete', `${what} in another repository, and not here`, {
      hint: `pgproof copy ${cluster} --to ${name}`,
    }),
  ];
}

async function statusIn(
  cluster: FoundCluster,
  name: string,
  { value: archive, error }: Answered<ArchiveState>,
  isOnly: boolean,
  server: ServerFacts | null,
  options: Options,
): Promise<Omit<RepositoryWal, 'lacking'>> {
  const notes = await readShipperNotes(cluster.paths.state, name);
  const beat = archive === null ? null : await newestArchivedHeartbeat(cluster, archive.frontier);
  const conflicts = archive === null ? [] : conflictsIn(archive.listing);
  const required = isRequired(cluster.config, name);
  const shipper = {
    lastShipped: notes?.lastShipped ?? null,
    lastShippedAt: notes?.lastShippedAt ?? null,
    lastError: notes?.lastError ?? null,
    waiting: notes?.waiting ?? [],
  };
  const problems = [
    ...(error === null ? [] : [error]),
    ...conflicts.map(({ segment, tags }) => conflictOf(segment, tags)),
    ...gapProblem(cluster.name, name, archive, isOnly),
    ...timelineProblem(server, archive),
  ];
  return {
    name,
    required,
    era: archive?.era.era ?? null,
    timeline: archive?.frontier.timeline ?? null,
    frontier: archive?.frontier.lsn ?? null,
    missing: archive?.frontier.missing ?? [],
    archivedSegments: archive?.listing.size ?? 0,
    lagBytes: archive === null || server === null ? null : walBytesBetween(archive.frontier.lsn, server.insertLsn),
    lagSeconds: beat === null ? null : Math.max(0, (Date.now() - Date.parse(beat.at)) / 1000),
    conflicts,
    shipper,
    problems: [
      ...(await ownerProblem(cluster, name, options)),
      ...problems.map((problem) => problemOf(inTarget(problem, { name }, isOnly))),
    ],
  };
}

async function archiveIn(cluster: FoundCluster, name: string, options: Options): Promise<ArchiveState> {
  const repository = cluster.repositories.find((one) => one.name === name);
  if (repository !== undefined) return readArchive(inRepository(cluster, repository), options);
  throw cluster.unavailable.find((one) => one.name === name)?.error;
}

export type Answered<T> = { value: T; error: null } | { value: null; error: PgproofError };

/** Only an abort is thrown. */
export async function answerOf<T>(asked: Promise<T>, { signal }: Options): Promise<Answered<T>> {
  try {
    return { value: await asked, error: null };
  } catch (error) {
    if (signal?.aborted) throw error;
    return { value: null, error: asPgproofError(error) };
  }
}

export const problemOf = ({ code, message, hint }: PgproofError): Problem => ({ code, message, hint });

/** A store that cannot be asked shows in the archive. */
async function ownerProblem(cluster: FoundCluster, name: string, options: Options): Promise<Problem[]> {
  const repository = cluster.repositories.find((one) => one.name === name);
  if (repository === undefined) return [];
  const { error } = await answerOf(refuseOfOther(repository, cluster, options), options);
  return hasCode(error, 'owner-other') ? [problemOf(error)] : [];
}

function gapProblem(cluster: string, name: string, archive: ArchiveState | null, isOnly: boolean): PgproofError[] {
  const [first] = archive?.frontier.missing ?? [];
  if (first === undefined) return [];
  const hint = isOnly
    ? 'No restore can pass this place. Take a new backup now; then find out where the segment went.'
    : `Another repository may have it, and restores take it from there. To fill the gap: pgproof copy ${cluster} --to ${name}`;
  const message = `the archive has a gap: segment ${first} is missing and later ones are there`;
  return [new PgproofError('segment-not-archived', message, { hint })];
}

function timelineProblem(server: ServerFacts | null, archive: ArchiveState | null): PgproofError[] {
  if (server === null || archive === null) return [];
  if (server.systemId !== archive.era.systemId) {
    const message = `the configured server is system ${server.systemId}, and the era is of system ${archive.era.systemId}`;
    const hint = 'After initdb or pg_upgrade run `pgproof era new`; otherwise correct the connection.';
    return [new PgproofError('era-mismatch', message, { hint })];
  }
  if (server.inRecovery || server.timeline >= archive.frontier.timeline) return []; // a standby knows its own only late
  const message = `the configured server is on timeline ${server.timeline}, and timeline ${archive.frontier.timeline} was adopted already`;
  const hint = 'An old primary answers: let the connection name the new one.';
  return [new PgproofError('timeline-not-adopted', message, { hint })];
}
