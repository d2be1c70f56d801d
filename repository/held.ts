import { throwIfAborted } from '../core/abort.ts';
import { asPgproofError, hasCode, type PgproofError } from '../core/errors.ts';
import type { Hold } from '../core/hold.ts';
import { holdEverything, type Needs, narrowHold, newHoldId, placeHold, releaseHold } from './holds.ts';
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

/**
 * Holds one thing in each repository that has it. One that is away, or takes no hold, is no reason to go without the others: it is said.
 * @param needs null: everything, until `narrowHeld` says what.
 * @throws {PgproofError} `backup-deleted` where it is gone from all; nothing is held then, and neither where the signal comes first.
 */
export async function holdInEach(
  { name, host, repositories }: Holder,
  { operation, seconds }: Pick<Hold, 'operation'> & { seconds: number },
  needs: Needs | null,
  { signal }: Stop,
): Promise<Held> {
  const order = { id: newHoldId(operation), cluster: name, operation, by: host, reason: null, seconds };
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
  for (const { repository, hold } of holds) await narrowHold(repository, hold, needs, stop);
}

/**
 * Does the work of a plan while `held` stands, which goes with it. The plan's own holds go with its success only: a restore that failed may
 * be tried again. What could not be released stands in the notes.
 */
export async function whileHeld<Result extends { notes: string[] }>(
  holder: Holder,
  held: Held,
  planned: HoldIds,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    const result = await work();
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
      await withLimit(patienceSeconds, new AbortController().signal, (signal) =>
        releaseHold(repository, hold, { signal }),
      );
    } catch (error) {
      const why = asPgproofError(error).message;
      notes.push(`Hold ${hold.id} in repository '${repository.name}' was not released (${why}): it ends by itself.`);
    }
  }
}

export const holdIds = ({ holds }: Held): HoldIds =>
  holds.map(({ repository, hold }) => ({ repositoryId: repository.id, id: hold.id }));

/** Releases what another process holds, or this one did before it was killed. @throws {PgproofError} what the store says. */
export async function releaseHeld({ name, host, repositories }: Holder, ids: HoldIds): Promise<void> {
  for (const { repositoryId, id } of ids) {
    const repository = repositories.find((one) => one.id === repositoryId);
    if (repository !== undefined) await releaseHold(repository, { id, cluster: name, by: host });
  }
}
