import { hasCode, PgproofError } from '../core/errors.ts';
import type { Copying } from './copying.ts';

/**
 * Removes what cannot be right at the target, once the right object is at hand.
 * @throws {PgproofError} `object-retained`, saying that it stays damaged there.
 */
export async function giveWay({ to, tally }: Copying, key: string, signal: AbortSignal): Promise<void> {
  try {
    await to.store.remove(key, { signal });
  } catch (cause) {
    if (!hasCode(cause, 'object-retained')) throw cause;
    throw new PgproofError('object-retained', `'${key}' is damaged in repository '${to.name}', which keeps it`, {
      facts: { ...cause.facts, key, repository: to.name },
      hint: 'When its retention ends, the next copy replaces it.',
      cause,
    });
  }
  tally.notes.push(`'${key}' was damaged in ${to.name} and was sent again.`);
}
