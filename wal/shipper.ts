import { setTimeout as sleep } from 'node:timers/promises';
import { abortReason } from '../core/abort.ts';
import { asPgproofError, hasCode, PgproofError } from '../core/errors.ts';
import type { FoundCluster } from '../postgres/cluster.ts';
import { Alarms, type OnAlarm } from './alarms.ts';
import { Custody } from './custody.ts';
import { inTarget, Lane } from './lane.ts';
import { emptyPass, type PassOptions, type ShipPass, shipWaiting } from './pass.ts';
import { reexamineForeign } from './reexamine.ts';
import { readShipperNotes, type ShipperNotes, writeShipperNotes } from './shipper-notes.ts';
import { makeSpool, type Spool } from './spool.ts';
import { withSpoolLock } from './spool-lock.ts';
import { type Target, targetsOf } from './targets.ts';
import { watchFolder } from './watch.ts';

export type { ShipPass } from './pass.ts';

export type ShipperOptions = PassOptions & {
  /** Told of each thing a person should know, once when it begins and again every ten minutes while it lasts. */
  onAlarm?: OnAlarm;
  /** How long the spool is left alone when nothing new is seen in it. @defaultValue 2000 */
  intervalMs?: number;
  /** Told of each pass. */
  onPass?: (pass: ShipPass) => void;
};

/** One pass for each repository that WAL is written to, together: what any of them was given, and all that is wrong. */
export type Shipped = Omit<ShipPass, 'repository'> & { passes: readonly ShipPass[] };

/**
 * One pass over the spool for each repository, side by side, for who cannot wait for the worker's shipper, or has none. A
 * repository that is still busy a minute after another was done goes on with the next call.
 * @throws {PgproofError} `spool-busy` while a worker ships; the signal's reason. What went wrong in a pass is in the pass.
 */
export async function shipOnce(cluster: FoundCluster, options: PassOptions): Promise<Shipped> {
  const spool = await makeSpool(cluster.paths.spool);
  return withSpoolLock(
    spool.root,
    async (signal) => {
      const lanes = lanesOf(cluster, spool);
      const overdue = new AbortController();
      let timer: NodeJS.Timeout | undefined;
      const shipLane = async (lane: Lane): Promise<ShipPass> => {
        const pass = await shipInTime(lane, { ...options, signal }, overdue.signal);
        timer ??= setTimeout(() => overdue.abort(), slowLaneMs);
        await writeShipperNotes(cluster.paths.state, lane.target.name, noted(await startNotes(cluster, lane), pass));
        return pass;
      };
      try {
        // All of them, also when one is interrupted: nothing works on the spool once its lock is given up.
        const ended = await Promise.allSettled(lanes.map(shipLane));
        return together(ended.map(resultOf), lanes);
      } finally {
        clearTimeout(timer);
      }
    },
    options,
  );
}

function resultOf<T>(outcome: PromiseSettledResult<T>): T {
  if (outcome.status === 'fulfilled') return outcome.value;
  throw outcome.reason;
}

/** How long one pass waits for its slowest repository once another one is done. */
const slowLaneMs = 60_000;

async function shipInTime(lane: Lane, options: PassOptions, overdue: AbortSignal): Promise<ShipPass> {
  try {
    return await shipWaiting(lane, { ...options, signal: AbortSignal.any([options.signal, overdue]) });
  } catch (error) {
    if (!overdue.aborted || options.signal.aborted) throw error;
    const slow = new PgproofError('store-unreachable', 'it has not taken the WAL of the spool yet', { cause: error });
    return { ...emptyPass(lane.target.name), error: slow };
  }
}

function together(passes: readonly ShipPass[], lanes: readonly Lane[]): Shipped {
  const errors = passes.flatMap(({ error, repository }) => (error === null ? [] : [{ error, repository }]));
  const required = new Set(lanes.flatMap(({ target }) => (target.required ? [target.name] : [])));
  const first = errors.find(({ repository }) => required.has(repository)) ?? errors[0];
  return {
    shipped: [...new Set(passes.flatMap(({ shipped }) => shipped))].sort(),
    refused: passes.flatMap(({ refused }) => refused),
    waiting: passes.flatMap(({ waiting }) => waiting),
    conflicts: passes.flatMap(({ conflicts }) => conflicts),
    missed: passes.flatMap(({ missed }) => missed),
    keyProblem: passes.find(({ keyProblem }) => keyProblem !== null)?.keyProblem ?? null,
    error: first?.error ?? null,
    passes,
  };
}

/**
 * Ships the WAL of a cluster until the signal aborts, to each repository in a lane of its own. Needs neither Temporal nor,
 * for the timelines that were adopted, the server. No error of a store or the spool ends it: it alarms, waits a little
 * longer each time, and goes on.
 * @throws {PgproofError} `spool-busy` when another process ships from this spool, or its lock was lost.
 */
export async function runShipper(cluster: FoundCluster, options: ShipperOptions): Promise<void> {
  const spool = await makeSpool(cluster.paths.spool);
  try {
    await withSpoolLock(spool.root, (signal) => keepLanes(cluster, spool, { ...options, signal }), options);
  } catch (error) {
    if (!options.signal.aborted) throw error;
  }
}

const longestPauseMs = 30_000;
const reexamineEveryMs = 60_000;

/** When one lane breaks, the others end before the spool's lock is given up. */
async function keepLanes(cluster: FoundCluster, spool: Spool, options: ShipperOptions): Promise<void> {
  const broken = new AbortController();
  const signal = AbortSignal.any([options.signal, broken.signal]);
  const lanes = lanesOf(cluster, spool);
  const running = lanes.map((lane) =>
    keepLane(lane, lanes, cluster, { ...options, signal }).catch((error: unknown) => {
      broken.abort();
      throw error;
    }),
  );
  const failed = (await Promise.allSettled(running)).flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  throw options.signal.aborted
    ? abortReason(options.signal)
    : (failed.find((reason) => !hasCode(reason, 'cancelled')) ?? failed[0]);
}

async function keepLane(
  lane: Lane,
  lanes: readonly Lane[],
  cluster: FoundCluster,
  options: ShipperOptions,
): Promise<never> {
  const { signal, intervalMs = 2000 } = options;
  const { target, spool } = lane;
  const isOnly = lanes.length === 1;
  const alarms = new Alarms((alarm) => options.onAlarm?.(inTarget(alarm, target, isOnly)));
  const news = watchFolder(spool.incoming);
  try {
    let notes = await startNotes(cluster, lane);
    let examinedAt = 0;
    for (let failures = 0; ; ) {
      const onShipped = async (file: string): Promise<void> => {
        if (notes.lastError === null && Date.now() - Date.parse(notes.at) < notesEveryMs) return;
        notes = goingOn(notes, file);
        await keepNotes(cluster, target, notes);
      };
      const pass = await shipWaiting(lane, { ...options, onShipped });
      if (lane === lanes[0] && pass.error === null && Date.now() - examinedAt > reexamineEveryMs) {
        await reexamine(lanes, pass, signal);
        examinedAt = Date.now();
      }
      notes = noted(notes, pass);
      alarms.raise([pass.keyProblem, ...alarmsOf(pass), await keepNotes(cluster, target, notes)]);
      options.onPass?.(pass);
      failures = pass.error === null ? 0 : failures + 1;
      if (pass.error !== null) await pause(Math.min(250 * 2 ** failures, longestPauseMs), signal);
      else if (pass.shipped.length === 0) await news.wait(intervalMs, signal);
    }
  } finally {
    news.close();
  }
}

/** So that nobody who looks at a backlog that drains is told of the outage before it. */
const notesEveryMs = 10_000;

function lanesOf(cluster: FoundCluster, spool: Spool): Lane[] {
  const targets = targetsOf(cluster);
  const custody = new Custody(spool, targets);
  return targets.map((target) => new Lane(cluster, target, custody, spool));
}

/** Of what waits and of what was refused, one file for each reason: there may be thousands. `wal quarantine list` has them all. */
function alarmsOf(pass: ShipPass): (PgproofError | null)[] {
  const firsts = (files: ShipPass['waiting']) =>
    new Map(files.toReversed().map(({ error }) => [error.code, error])).values();
  return [...firsts(pass.refused), ...pass.conflicts, ...firsts(pass.waiting), ...missedAlarm(pass), pass.error];
}

/** Once for each time that the repository falls behind: its first segment names it. */
function missedAlarm({ missed: [first, ...more], repository }: ShipPass): PgproofError[] {
  if (first === undefined) return [];
  const what = more.length === 0 ? `${first} has` : `${first} and ${more.length} more files have`;
  return [
    new PgproofError('copy-incomplete', `${what} left the spool without having reached '${repository}'`, {
      facts: { repository, segment: first, missed: more.length + 1 },
      hint: 'It is not required, so nothing waits for it. `pgproof copy` brings what it lacks.',
    }),
  ];
}

/** Notes that cannot be written are a reason to tell somebody, and none to stop shipping: it is what makes room. */
async function keepNotes({ paths }: FoundCluster, { name }: Target, notes: ShipperNotes): Promise<PgproofError | null> {
  try {
    await writeShipperNotes(paths.state, name, notes);
    return null;
  } catch (error) {
    return asPgproofError(error);
  }
}

/** With all the required repositories at hand, or not at all: what was put aside goes to each of them, or stays. */
async function reexamine(lanes: readonly Lane[], pass: ShipPass, signal: AbortSignal): Promise<void> {
  const healthy = lanes.filter(({ custody, target }) => !custody.isAway(target));
  const clusters = healthy.flatMap(({ opened }) => (opened === undefined ? [] : [opened]));
  const hasAll = lanes.every((lane) => !lane.target.required || (healthy.includes(lane) && lane.opened !== undefined));
  if (!hasAll) return;
  try {
    pass.shipped.push(...(await reexamineForeign(clusters, (lanes[0] as Lane).spool, { signal })));
  } catch (error) {
    if (signal.aborted) throw abortReason(signal);
    pass.error = asPgproofError(error);
  }
}

async function startNotes({ paths }: FoundCluster, { target }: Lane): Promise<ShipperNotes> {
  const before = await readShipperNotes(paths.state, target.name);
  const { lastShipped = null, lastShippedAt = null } = before ?? {};
  return { pid: process.pid, at: now(), lastShipped, lastShippedAt, lastError: null, waiting: [] };
}

function noted(notes: ShipperNotes, pass: ShipPass): ShipperNotes {
  const lastShipped = pass.shipped.toSorted().at(-1);
  return {
    ...notes,
    at: now(),
    ...(lastShipped === undefined ? {} : { lastShipped, lastShippedAt: now() }),
    lastError: pass.error === null ? null : { ...said(pass.error), at: now() },
    waiting: pass.waiting.slice(0, 20).map(({ file, error }) => ({ file, ...said(error) })),
  };
}

/** In the midst of a pass: the store takes WAL. */
const goingOn = (notes: ShipperNotes, lastShipped: string): ShipperNotes => ({
  ...notes,
  at: now(),
  lastShipped,
  lastShippedAt: now(),
  lastError: null,
});

const said = ({ code, message, hint }: PgproofError): { code: string; message: string; hint: string | null } => ({
  code,
  message,
  hint,
});
const now = (): string => new Date().toISOString();

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {
    throw abortReason(signal);
  });
}
