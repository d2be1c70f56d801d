import { type Facts, PgproofError } from '../core/errors.ts';
import { isoOfMicros } from '../core/micros.ts';
import { formatTarget, type RecoveryTarget } from '../core/target.ts';
import type { BackupRecord } from '../repository/record.ts';

/**
 * The refusal of a target: why, and the nearest targets that work, in the form that `--to` takes. At three in the morning
 * that is what is needed next.
 */
export function unreachable(
  target: RecoveryTarget,
  why: string,
  nearest: { before?: string | null; after?: string | null },
  facts: Facts = {},
): PgproofError {
  const works = [nearest.before, nearest.after].filter((text): text is string => typeof text === 'string');
  return new PgproofError('target-unreachable', `the target ${formatTarget(target)} cannot be reached: ${why}`, {
    facts: {
      target: formatTarget(target),
      nearestBefore: nearest.before ?? null,
      nearestAfter: nearest.after ?? null,
      ...facts,
    },
    ...(works.length === 0
      ? {}
      : {
          hint: `${works.length === 1 ? 'The nearest target that works' : 'The nearest targets that work'}: ${works.join(' or ')}.`,
        }),
  });
}

/** The earliest target that this backup can be restored to, in the terms in which the target was given. */
export function endOf(backup: BackupRecord | undefined, target: RecoveryTarget): string | null {
  if (backup === undefined) return null;
  return target.type === 'time' ? backup.stoppedAt : `lsn:${backup.stopLsn}`;
}

/** ISO-8601 UTC with microseconds; null where there was no commit. */
export function commitTime(at: bigint | null): string | null {
  return at === null ? null : isoOfMicros(at);
}
