import { asPgproofError, PgproofError } from '../core/errors.ts';
import type { Phase } from '../core/report.ts';
import type { Run } from '../core/run.ts';
import type { VerifiedRepository } from '../core/verified.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { phaseTimer } from '../restore/phases.ts';
import { withoutStanding } from '../storage/standing.ts';
import { lively, watchedCluster } from './alive.ts';
import { emptyShelf, takeCensus } from './census.ts';
import { conclude } from './conclude.ts';
import { readDocuments } from './documents.ts';
import type { EarlierVerify } from './earlier.ts';
import { expiredNotes } from './expired-elsewhere.ts';
import { Findings } from './findings.ts';
import { noteForeign } from './foreign.ts';
import { holdingWhile } from './hold.ts';
import { findUncommitted } from './leftovers.ts';
import { Looking } from './looking.ts';
import { takeBackOvertaken } from './overtaken.ts';
import { readBack } from './read-back.ts';
import { readDumpToEnd } from './read-dump.ts';
import { repairAll } from './repair.ts';
import { findTakenAway } from './replacing.ts';
import { checkReplay } from './replay.ts';
import { nextRotation } from './share.ts';
import { shelvesOf } from './shelved.ts';
import type { State } from './state.ts';
import { chooseToRestore } from './to-restore.ts';
import { toldBackups, toldDumps } from './told.ts';
import { unpackAndVerify } from './unpack.ts';

export type VerifyOptions = {
  /** Percent of the objects whose bytes are read. */
  share: number;
  restore: boolean;
  /** Of the backup to unpack, or the dump to read. */
  backup: string | null;
  repair: boolean;
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
      await phaseTimer(phases, run)(`unpack ${cluster.repository.name}`, () =>
        restoreChosen(cluster, options.backup, state, run),
      );
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
    known: { eras: [], dumps: { census: emptyShelf(), records: [] } },
    told: new Map(),
    facts: new Map(),
    foreign: 0,
    complete: false,
    unpacked: [],
    dumpsRead: [],
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
  const timed = phaseTimer(phases, run);
  const time = <T>(phase: string, work: () => Promise<T>) => timed(`${phase} ${name}`, work);

  const census = await time('list', () => takeCensus(cluster.repository, cluster.name, run));
  state.notes.push(...census.notes);
  state.known = await time('documents of', () => readDocuments(cluster, census, looking, findings));
  const { known } = state;
  const shelves = shelvesOf(cluster, known);
  state.told = await toldBackups(cluster, looking);
  const dumps = [...(await toldDumps(cluster, looking))].map((id) => ({ id, era: null }));
  state.notes.push(...findUncommitted(cluster, shelves, [...state.told.values(), ...dumps], findings));
  noteForeign(census, shelves, findings);
  state.foreign = census.foreign.count;
  try {
    const again = new Set(
      earlier.slice(0, 1).flatMap(({ repository }) => repository.findings.map(({ object }) => object)),
    );
    await time('read back', () => readBack(cluster, known, { rotation, again }, { looking, findings, run, done }));
    state.complete = looking.unreadCount === 0;
    state.notes.push(...(await takeBackOvertaken(cluster, known, findings, looking)));
  } finally {
    // Names alone tell of gaps: also when the store went away while bytes were read.
    for (const era of known.eras) {
      const facts = await checkReplay(cluster, era, state.told, findings, looking);
      if (facts === null) continue;
      state.facts.set(era.name, facts);
      state.notes.push(...expiredNotes(era, facts.segmentBytes, name));
    }
    await findTakenAway(cluster, known.eras, findings);
  }
  if (options.repair) await time('repair', () => repairAll(cluster, known, findings, run));
}

async function restoreChosen(cluster: ProtectedCluster, wanted: string | null, state: State, run: Run): Promise<void> {
  const { backups, dumps } = chooseToRestore(state.known, wanted, cluster.name);
  for (const record of backups) {
    const needs = { needs: [{ era: record.era, backups: [record.id], wal: [] }] };
    const isWhole = await holdingWhile(cluster, needs, run, state.notes, () =>
      unpackAndVerify(cluster, record, state.findings, run),
    );
    if (isWhole) state.unpacked.push(record.id);
  }
  for (const record of dumps) {
    const needs = { needs: [], dumps: [record.id] };
    const isWhole = await holdingWhile(cluster, needs, run, state.notes, () =>
      readDumpToEnd(cluster, record, state.findings, run),
    );
    if (isWhole) state.dumpsRead.push(record.id);
  }
}
