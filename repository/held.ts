import { throwIfAborted } from '../core/abort.ts';
import { asPgproofError, hasCode, type PgproofError } from '../core/errors.ts';
import type { Hold } from '../core/hold.ts';
import { waited } from '../storage/waited.ts';
import {
  holdEverything,
  type Needs,
  narrowHold,
  newHoldId,
  placeHold,
  releaseAllFor,
  releaseHold,
  renewHold,
} from './holds.ts';
import { withLimit } from './nearest.ts';
import type { Repository } from './repository.ts';

/** What is held for one thing, a hold a repository; and what could not be held or released, as sentences. */
export type Held = { holds: { repository: Repository; hold: Hold }[]; notes: string[] };

/** The same for another process, as plans keep it. */
export type HoldIds = { repositoryId: string; id: string }[];

/** A cluster as a host of it sees it. */
type Holder = { name: string; host: string; repositories: readonly Repository[] };

type Stop = { signal: AbortSignal };

/** A repository that is away holds up nobody. */
const patienceSeconds = 30;

/** What somebody holds who holds it anew while he works; who is killed leaves it for so long. */
export const heldSeconds = 2 * 86_400;

/** For what something is held, for people, and for who comes after one that was killed. */
type HeldFor = Pick<Hold, 'operation'> & { reason?: string | null };

/**
 * Holds one thing in each repository that has it. One that is away, or takes no hold, is no reason to go without the others: it is said.
 * @param needs null: everything, until `narrowHeld` says what.
 * @throws {PgproofError} `backup-deleted` where it is gone from all; nothing is held then, and neither where the signal comes first.
 */
export async function holdInEach(
  { name, host, repositories }: Holder,
  { operation, reason = null, seconds }: HeldFor & { seconds: number },
  needs: Needs | null,
  { signal }: Stop,
): Promise<Held> {
  const order = { id: newHoldId(operation), cluster: name, operation, by: host, reason, seconds };
  const held: Held = { holds: [], notes: [] };
  const gone: PgproofError[] = [];
  await Promise.all(
    repositories.map(async (repository) => {
      try {
        const hold = await withLimit(patienceSeconds, signal, (limited) =>
          needs === null
            ? holdEverything(repository, order, { signal: limited })
            : placeHold(repository, { ...order, ...needs }, { signal: limited }),
        );
        held.holds.push({ repository, hold });
      } catch (error) {
        if (hasCode(error, 'backup-deleted')) gone.push(error);
        else held.notes.push(notHeld(repository, asPgproofError(error)));
      }
    }),
  );
  if (signal.aborted) await letGo(held);
  throwIfAborted(signal);
  if (gone[0] !== undefined && gone.length === repositories.length) throw gone[0];
  return held;
}

const notHeld = ({ name }: Repository, { message }: PgproofError) =>
  `Nothing is held in repository '${name}' (${message}): \`expire\` may delete there what this needs.`;

/** From now on only this, and for so long. @throws {PgproofError} as `narrowHold` does */
export async function narrowHeld({ holds }: Held, needs: Needs & { seconds: number }, stop: Stop): Promise<void> {
  for (const each of holds) each.hold = await narrowHold(each.repository, each.hold, needs, stop);
}

/**
 * Does something long, and holds what `held` has anew, for `heldSeconds`, whenever half of that is over; also what comes into it meanwhile. By the wall
 * clock: a host that slept, or whose clock was set, is not late by that. What was not renewed in time stands in the notes.
 */
export async function keepingHeld<T>(held: Held, use: () => Promise<T>): Promise<T> {
  const over = new AbortController();
  const keeping = keepHeld(held, over.signal);
  try {
    return await use();
  } finally {
    over.abort();
    await keeping;
  }
}

/** A store that refuses is not asked each second, for a day. */
const afterFailureSeconds = 60;

async function keepHeld({ holds, notes }: Held, over: AbortSignal): Promise<void> {
  const told = new Set<string>();
  let pauseSeconds = 1;
  while (await waited(pauseSeconds * 1000, over)) {
    pauseSeconds = 1;
    for (const each of holds) {
      const { repository, hold } = each;
      const leftSeconds = (Date.parse(hold.until) - Date.now()) / 1000;
      if (hold.needs === null || leftSeconds > heldSeconds / 2) continue;
      const known = { ...hold, needs: hold.needs };
      try {
        // Takes no signal: half a renewal would leave a hold that nobody releases.
        each.hold = await unhurried((signal) => renewHold(repository, known, heldSeconds, { signal }));
      } catch (error) {
        pauseSeconds = afterFailureSeconds;
        if (leftSeconds > 0 || told.has(hold.id)) continue;
        told.add(hold.id);
        notes.push(
          `Hold ${hold.id} in repository '${repository.name}' ended before it could be renewed (${asPgproofError(error).message}): \`expire\` may have deleted there what this needs.`,
        );
      }
    }
  }
}

/**
 * Releases what an earlier process of this host held for the same thing. For who knows that it is dead. Where that cannot be done it stands in the
 * notes.
 */
export async function releaseEarlier(
  { name, host, repositories }: Holder,
  { operation, reason }: HeldFor & { reason: string },
  { holds, notes }: Held,
): Promise<void> {
  const of = { cluster: name, operation, by: host, reason };
  const except = holds.map(({ hold }) => hold.id);
  for (const repository of repositories) {
    try {
      await unhurried((signal) => releaseAllFor(repository, of, { except, signal }));
    } catch (error) {
      notes.push(
        `What was held before in repository '${repository.name}' for ${reason} was not released (${asPgproofError(error).message}): it ends by itself.`,
      );
    }
  }
}

/**
 * Does the work of a plan while `held` stands, which is renewed meanwhile and goes with it. The plan's own holds go with its success only: a restore that failed may
 * be tried again. What could not be released stands in the notes.
 */
export async function whileHeld<Result extends { notes: string[] }>(
  holder: Holder,
  held: Held,
  planned: HoldIds,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    const result = await keepingHeld(held, work);
    await releaseHeld(holder, planned).catch((error: unknown) => {
      held.notes.push(`What the plan holds was not released (${asPgproofError(error).message}): it ends by itself.`);
    });
    await letGo(held);
    return { ...result, notes: [...result.notes, ...held.notes] };
  } catch (error) {
    await letGo(held);
    throw error;
  }
}

/** By hand it would go at its end; so a failure is no reason to fail. Takes no signal: what was cancelled holds nothing either. */
export async function letGo({ holds, notes }: Held): Promise<void> {
  for (const { repository, hold } of holds) {
    try {
      await unhurried((signal) => releaseHold(repository, hold, { signal }));
    } catch (error) {
      const why = asPgproofError(error).message;
      notes.push(`Hold ${hold.id} in repository '${repository.name}' was not released (${why}): it ends by itself.`);
    }
  }
}

/** What is done to the end also when all around it is cancelled, as long as the repository answers. */
const unhurried = <T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> =>
  withLimit(patienceSeconds, new AbortController().signal, work);

export const holdIds = ({ holds }: Held): HoldIds =>
  holds.map(({ repository, hold }) => ({ repositoryId: repository.id, id: hold.id }));

/** Releases what another process holds, or this one did before it was killed. @throws {PgproofError} what the store says. */
export async function releaseHeld({ name, host, repositories }: Holder, ids: HoldIds): Promise<void> {
  for (const { repositoryId, id } of ids) {
    const repository = repositories.find((one) => one.id === repositoryId);
    if (repository !== undefined) await releaseHold(repository, { id, cluster: name, by: host });
  }
}
