import { type Hold, isInForce } from '../hold.ts';
import { iso, suddenSilence } from './clock.ts';

/** Holds are no shorter than that. */
const dayMs = 86_400_000;

/**
 * Why the ends of some holds are not to be believed: they ended only in a silence, such as that of a clock that jumped ahead. Null:
 * nothing speaks against any.
 * @param times believed ones of what was made, oldest first. @param reference what the ends of holds are reckoned from.
 */
export function endedByLeap(
  holds: readonly Hold[],
  times: readonly number[],
  reference: number,
  what: string,
): string | null {
  const leap = suddenSilence(times, dayMs);
  if (leap === null) return null;
  const ended = holds.filter(
    (hold) =>
      Date.parse(hold.heldAt) < leap.to &&
      isInForce(hold, new Date(leap.from)) &&
      !isInForce(hold, new Date(reference)),
  );
  if (ended.length === 0) return null;
  return `no ${what} was made between ${iso(leap.from)} and ${iso(leap.to)}, or a clock jumped: only by that has ended what ${ended.map(({ id }) => id).join(', ')} holds`;
}
