import { throwIfAborted } from '../../core/abort.ts';
import { asPgproofError, hasCode, PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { newHoldId, placeHold } from '../../repository/holds.ts';
import { withLimit } from '../../repository/nearest.ts';
import type { Held } from '../../restore/hold.ts';

const week = 7 * 86_400;
/** A repository that is away holds up no restore. */
const patienceSeconds = 30;

/**
 * Holds one dump in each repository that has it. One that is away is no reason not to restore: it is said.
 * @throws {PgproofError} `backup-deleted` where it is gone from all.
 */
export async function holdDump(
  { name, host, repositories }: ProtectedCluster,
  operation: 'plan' | 'restore',
  id: string,
  { signal }: Pick<Run, 'signal'>,
): Promise<Held> {
  const order = {
    id: newHoldId(operation),
    cluster: name,
    operation,
    by: host,
    reason: null,
    seconds: week,
    needs: [],
    dumps: [id],
  };
  const held: Held = { holds: [], notes: [] };
  for (const repository of repositories) {
    try {
      const hold = await withLimit(patienceSeconds, signal, (limited) =>
        placeHold(repository, order, { signal: limited }),
      );
      held.holds.push({ repository, hold });
    } catch (error) {
      throwIfAborted(signal);
      if (hasCode(error, 'backup-deleted')) continue; // another one has it
      held.notes.push(
        `Nothing is held in repository '${repository.name}' (${asPgproofError(error).message}): \`expire\` may delete the dump there.`,
      );
    }
  }
  if (held.holds.length > 0 || held.notes.length > 0) return held;
  throw new PgproofError('backup-deleted', `the dump ${id} is not there any more`, {
    facts: { cluster: name, dump: id },
    hint: `See what is there: pgproof list ${name}`,
  });
}
