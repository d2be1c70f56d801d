import { abortReason } from '../core/abort.ts';
import { asPgproofError, type PgproofError } from '../core/errors.ts';
import type { TimelineId } from '../core/segment.ts';
import type { StoreOptions } from '../storage/store.ts';
import { type BackupEntry, byPlace, chooseBackup, listBackups } from './catalogue.ts';
import { isCut, listCuts } from './cuts.ts';
import { byAge, chooseDump, type DumpEntry, listDumps } from './dumps.ts';
import type { Entry } from './entries.ts';
import { byNumber, listEras } from './eras.ts';
import { type History, historyConflict, listHistoryTags, readHistory } from './histories.ts';
import type { KeyRing } from './keys.ts';
import { historyKey } from './layout.ts';
import { type Nearest, tellingOf, withLimit } from './nearest.ts';
import type { BackupRecord, DumpRecord, EraRecord } from './record.ts';
import type { Repository } from './repository.ts';
import { listWal, type WalListing } from './wal.ts';

/*
 * Several repositories of a cluster read as one: what any of them has is there. A repository that cannot be asked is named,
 * and the others answer.
 */

/** A repository that did not answer, and why. */
export type Unasked = { repository: string; error: PgproofError };

/** Where an entry of several catalogues is. */
export type Whereabouts = {
  /** Names of the repositories that have it whole, nearest first. */
  repositories: string[];
  /** Where its commit file cannot be trusted. */
  damagedIn: { repository: string; error: PgproofError }[];
};
export type MergedEntry = BackupEntry & Whereabouts;
export type MergedDump = DumpEntry & Whereabouts;

/** A listing that takes longer is given up while another repository has answered. */
const patienceSeconds = 300;

/** @throws {PgproofError} what the store says, when none answers. */
export async function listErasIn(
  repositories: readonly Repository[],
  cluster: string,
  options: StoreOptions = {},
): Promise<{ eras: EraRecord[]; unasked: Unasked[] }> {
  const { answers, unasked } = await askAll(repositories, options, (repository, signal) =>
    listEras(repository, cluster, { ...options, ...signal }),
  );
  const found = new Map<string, EraRecord>();
  for (const { answer } of answers) for (const era of answer) if (!found.has(era.era)) found.set(era.era, era);
  return { eras: [...found.values()].sort(byNumber), unasked };
}

/** The catalogues as one: whole where any repository has it whole. @throws {PgproofError} what the store says, when none answers. */
export async function listBackupsIn(
  repositories: readonly Repository[],
  keys: KeyRing,
  cluster: string,
  options: StoreOptions = {},
): Promise<{ entries: MergedEntry[]; unasked: Unasked[] }> {
  const { answers, unasked } = await askAll(repositories, options, (repository, signal) =>
    listBackups(repository, keys, cluster, { ...options, ...signal }),
  );
  return { entries: merged(answers, ({ era, id }) => `${era}/${id}`).sort(byPlace), unasked };
}

/** As `listBackupsIn`, of dumps: oldest first, damaged ones last. */
export async function listDumpsIn(
  repositories: readonly Repository[],
  keys: KeyRing,
  cluster: string,
  options: StoreOptions = {},
): Promise<{ entries: MergedDump[]; unasked: Unasked[] }> {
  const { answers, unasked } = await askAll(repositories, options, (repository, signal) =>
    listDumps(repository, keys, cluster, { ...options, ...signal }),
  );
  return { entries: merged(answers, ({ id }) => id).sort(byAge), unasked };
}

type Listed = Entry<unknown>;

function merged<Each extends Listed>(
  answers: Asked<Each[]>['answers'],
  placeOf: (entry: Each) => string,
): (Each & Whereabouts)[] {
  const found = new Map<string, Each & Whereabouts>();
  for (const { repository, answer } of answers)
    for (const entry of answer) found.set(placeOf(entry), joined(found.get(placeOf(entry)), entry, repository));
  return [...found.values()];
}

function joined<Each extends Listed>(
  known: (Each & Whereabouts) | undefined,
  entry: Each,
  { name }: Repository,
): Each & Whereabouts {
  const { repositories = [], damagedIn = [] } = known ?? {};
  if (entry.state === 'damaged') {
    const damaged = [...damagedIn, { repository: name, error: entry.error }];
    return { ...(known ?? entry), repositories, damagedIn: damaged };
  }
  return { ...(known?.state === 'whole' ? known : entry), repositories: [...repositories, name], damagedIn };
}

/** As `findBackup`, in all of them. */
export async function findBackupIn(
  repositories: readonly Repository[],
  keys: KeyRing,
  cluster: string,
  prefix: string,
  options: StoreOptions = {},
): Promise<BackupRecord> {
  const { entries } = await listBackupsIn(repositories, keys, cluster, options);
  return chooseBackup(entries, cluster, prefix);
}

/** The dump that the prefix means, in all of them. @throws {PgproofError} as `chooseDump`. */
export async function findDumpIn(
  repositories: readonly Repository[],
  keys: KeyRing,
  cluster: string,
  prefix: string,
  options: StoreOptions = {},
): Promise<DumpRecord> {
  const { entries } = await listDumpsIn(repositories, keys, cluster, options);
  return chooseDump(entries, cluster, prefix);
}

/** One content here and another one there are two contents. What a repository is deleting counts as gone. */
export async function listWalIn(
  repositories: readonly Repository[],
  cluster: string,
  { era, segmentBytes }: Pick<EraRecord, 'era' | 'segmentBytes'>,
  options: StoreOptions & { timeline?: TimelineId } = {},
): Promise<{ listing: WalListing; unasked: Unasked[] }> {
  const { answers, unasked } = await askAll(repositories, options, async (repository, signal) => {
    const found = await listWal(repository, cluster, era, { ...options, ...signal });
    const cuts = await listCuts(repository, cluster, era, { ...options, ...signal });
    return [...found].filter(([segment]) => !isCut(segment, cuts, segmentBytes));
  });
  const listing: WalListing = new Map();
  for (const { answer } of answers)
    for (const [segment, tags] of answer)
      listing.set(segment, [...new Set([...(listing.get(segment) ?? []), ...tags])]);
  return { listing, unasked };
}

/**
 * The adopted timelines that any of them has; each file from the nearest that has it whole.
 * @throws {PgproofError} as `listHistories`.
 */
export async function listHistoriesIn(
  repositories: readonly Repository[],
  copies: Nearest,
  walKeys: KeyRing,
  cluster: string,
  era: string,
  signal: AbortSignal,
): Promise<{ histories: Map<TimelineId, History>; unasked: Unasked[] }> {
  const { answers, unasked } = await askAll(repositories, { signal }, (repository, limited) =>
    listHistoryTags(repository, cluster, era, limited),
  );
  const tags = new Map<TimelineId, Set<string>>();
  for (const { answer } of answers)
    for (const [timeline, some] of answer) tags.set(timeline, new Set([...(tags.get(timeline) ?? []), ...some]));
  const histories = new Map<TimelineId, History>();
  for (const [timeline, some] of [...tags].sort(([a], [b]) => a - b)) {
    const [tag, ...others] = [...some] as [string, ...string[]];
    if (others.length > 0) throw historyConflict(cluster, timeline);
    const read = (repository: Repository, limited: AbortSignal) =>
      readHistory(repository, walKeys, cluster, era, timeline, tag, { signal: limited });
    const options = { signal, attemptSeconds: patienceSeconds };
    histories.set(timeline, await copies.read(historyKey(cluster, era, timeline, tag), read, options));
  }
  return { histories, unasked };
}

type Asked<T> = { answers: { repository: Repository; answer: T }[]; unasked: Unasked[] };

async function askAll<T>(
  repositories: readonly Repository[],
  { signal = new AbortController().signal }: StoreOptions,
  ask: (repository: Repository, options: { signal: AbortSignal }) => Promise<T>,
): Promise<Asked<T>> {
  const limit = repositories.length === 1 ? undefined : patienceSeconds;
  const outcomes = await Promise.allSettled(
    repositories.map((repository) => withLimit(limit, signal, (limited) => ask(repository, { signal: limited }))),
  );
  if (signal.aborted) throw abortReason(signal);
  const asked: Asked<T> = { answers: [], unasked: [] };
  for (const [index, outcome] of outcomes.entries()) {
    const repository = repositories[index] as Repository;
    if (outcome.status === 'fulfilled') asked.answers.push({ repository, answer: outcome.value });
    else asked.unasked.push({ repository: repository.name, error: asPgproofError(outcome.reason) });
  }
  if (asked.answers.length === 0) throw tellingOf(asked.unasked.map(({ error }) => error));
  return asked;
}
