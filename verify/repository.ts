import { asPgproofError, PgproofError } from '../core/errors.ts';
import type { Phase } from '../core/report.ts';
import type { Run } from '../core/run.ts';
import { type SegmentName, segmentNumber, timelineOf } from '../core/segment.ts';
import type { Affected, VerifiedRepository } from '../core/verified.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { withoutStanding } from '../storage/standing.ts';
import { affectedBy, type EraFacts } from './affects.ts';
import { lively, watchedCluster } from './alive.ts';
import { takeCensus } from './census.ts';
import { type KnownEra, readDocuments } from './documents.ts';
import type { EarlierVerify } from './earlier.ts';
import { expiredNotes } from './expired-elsewhere.ts';
import { type Damage, Findings, reportedFindings } from './findings.ts';
import { noteForeign } from './foreign.ts';
import { holdingBackup } from './hold.ts';
import { findUncommitted } from './leftovers.ts';
import { Looking } from './looking.ts';
import { takeBackOvertaken } from './overtaken.ts';
import { type ReadBack, readBack } from './read-back.ts';
import { repairAll } from './repair.ts';
import { findTakenAway } from './replacing.ts';
import { checkReplay, factsOf, placedBackups } from './replay.ts';
import { nextRotation, type Rotation } from './share.ts';
import { type ToldBackup, toldBackups } from './told.ts';
import { chooseBackup, unpackAndVerify } from './unpack.ts';

export type VerifyOptions = {
  /** Percent of the objects whose bytes are read. */
  share: number;
  restore: boolean;
  /** Of the backup to unpack. */
  backup: string | null;
  repair: boolean;
};

/** All that one look at one repository collects. */
type State = {
  looking: Looking;
  findings: Findings;
  rotation: Rotation | null;
  done: ReadBack;
  eras: KnownEra[];
  told: Map<string, ToldBackup>;
  facts: Map<string, EraFacts>;
  foreign: number;
  /** Whether all of the share was read. */
  complete: boolean;
  unpacked: string[];
  notes: string[];
  /** What kept it from being looked at as a whole. */
  stopped: PgproofError | null;
};

/**
 * Looks at everything that the cluster has in its `repository`: names always, bytes as far as the share goes.
 * What cannot be read makes it inconclusive, never passed.
 * @param earlier runs over this repository, newest first.
 * @throws {PgproofError} the signal's reason; `internal`. What the store says is part of the answer.
 */
export async function verifyRepository(
  cluster: ProtectedCluster,
  options: VerifyOptions,
  earlier: readonly EarlierVerify[],
  run: Run,
  { phases = [], pauseMs = 1000, standingSeconds = 600 }: Settings = {},
): Promise<VerifiedRepository> {
  const state = begin(options, earlier, new Looking(run, pauseMs));
  try {
    await withoutStanding(run, standingSeconds, standing(cluster, standingSeconds), async (guarded) => {
      const { run: inner, alive } = lively(guarded);
      state.looking = new Looking(inner, pauseMs);
      await lookThrough(watchedCluster(cluster, alive), options, earlier, state, inner, phases);
    });
    if (options.restore)
      await timed(phases, run, `unpack ${cluster.repository.name}`, () => unpack(cluster, options.backup, state, run));
  } catch (error) {
    const known = asPgproofError(error);
    if (run.signal.aborted || known.code === 'internal' || known.code === 'cancelled') throw known;
    state.stopped = known;
  }
  return conclude(cluster, state);
}

type Settings = {
  phases?: Phase[];
  /** Before an object that could not be read is tried again. @defaultValue 1000 */
  pauseMs?: number;
  /** After so long without a byte or a name from any store, the run is over. @defaultValue 600 */
  standingSeconds?: number;
};

const standing =
  ({ repository }: ProtectedCluster, seconds: number) =>
  (): PgproofError =>
    new PgproofError('timeout', `nothing has come from repository '${repository.name}' for ${seconds} s`, {
      facts: { repository: repository.name, seconds },
      hint: 'Look whether its store still answers, then verify again: the same share is taken.',
    });

function begin(options: VerifyOptions, earlier: readonly EarlierVerify[], looking: Looking): State {
  const runs = earlier.map(({ repository }) => ({
    rotation: repository.rotation,
    complete: repository.complete,
  }));
  return {
    looking,
    findings: new Findings(),
    rotation: nextRotation(options.share, runs),
    done: { objects: 0, bytes: 0, readObjects: 0, readBytes: 0, undecoded: 0 },
    eras: [],
    told: new Map(),
    facts: new Map(),
    foreign: 0,
    complete: false,
    unpacked: [],
    notes: [],
    stopped: null,
  };
}

async function lookThrough(
  cluster: ProtectedCluster,
  options: VerifyOptions,
  earlier: readonly EarlierVerify[],
  state: State,
  run: Run,
  phases: Phase[],
): Promise<void> {
  const { looking, findings, rotation, done } = state;
  const { name } = cluster.repository;
  const time = <T>(phase: string, work: () => Promise<T>) => timed(phases, run, `${phase} ${name}`, work);

  const census = await time('list', () => takeCensus(cluster.repository, cluster.name, run));
  state.notes.push(...census.notes);
  state.eras = await time('documents of', () => readDocuments(cluster, census, looking, findings));
  state.told = await toldBackups(cluster, looking);
  state.notes.push(...findUncommitted(cluster, state.eras, state.told, findings));
  noteForeign(census, state.eras, findings);
  state.foreign = census.foreign.count;
  try {
    const again = new Set(
      earlier.slice(0, 1).flatMap(({ repository }) => repository.findings.map(({ object }) => object)),
    );
    await time('read back', () => readBack(cluster, state.eras, { rotation, again }, { looking, findings, run, done }));
    state.complete = looking.unreadCount === 0;
    state.notes.push(...(await takeBackOvertaken(cluster, state.eras, findings, looking)));
  } finally {
    // Names alone tell of gaps: also when the store went away while bytes were read.
    for (const era of state.eras) {
      const facts = await checkReplay(cluster, era, state.told, findings, looking);
      if (facts === null) continue;
      state.facts.set(era.name, facts);
      state.notes.push(...expiredNotes(era, facts.segmentBytes, name));
    }
    await findTakenAway(cluster, state.eras, findings);
  }
  if (options.repair) await time('repair', () => repairAll(cluster, state.eras, findings, run));
}

async function unpack(cluster: ProtectedCluster, wanted: string | null, state: State, run: Run): Promise<void> {
  const record = chooseBackup(
    state.eras.flatMap(({ records }) => records),
    wanted,
    cluster.name,
  );
  const isWhole = await holdingBackup(cluster, record, run, () =>
    unpackAndVerify(cluster, record, state.findings, run),
  );
  if (isWhole) state.unpacked.push(record.id);
}

function conclude(cluster: ProtectedCluster, state: State): VerifiedRepository {
  const { findings, looking, done, stopped, rotation, unpacked, foreign } = state;
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
    notes: [...state.notes, ...whatWasNotProven(state)],
  };
}

/** What each finding affects, as things stand after repairs; of a repaired one, what it had affected is gone. */
function affectsOf(cluster: ProtectedCluster, { eras, facts, told, findings }: State): Map<string, Affected> {
  const all = new Map<string, Affected>();
  for (const era of eras) {
    const known = facts.get(era.name);
    if (known === undefined) continue;
    const now = factsOf(cluster, era, known.segmentBytes, placedBackups(era, told), findings);
    const own = findings.open.filter(({ subject }) => subject.of !== 'repository' && subject.era === era.name);
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

async function timed<T>(phases: Phase[], run: Run, name: string, work: () => Promise<T>): Promise<T> {
  run.progress({ phase: name });
  const began = performance.now();
  try {
    return await work();
  } finally {
    phases.push({ name, seconds: Math.round(performance.now() - began) / 1000 });
  }
}
